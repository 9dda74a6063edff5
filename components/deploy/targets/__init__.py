"""What a version is rolled out on."""
