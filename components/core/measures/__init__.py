"""What is measured of data and models, each defined once."""
