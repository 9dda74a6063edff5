"""Tables as the stages hand them on."""
