"""What runs and registered versions leave behind for others to rely on."""
