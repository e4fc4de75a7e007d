"""The embedded driving world: traffic, sensors and rare events in NAVSIM's format (extra `[world]`)."""
