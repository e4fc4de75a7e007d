"""The embedded driving world: traffic, streets and sensors in NAVSIM's format."""
