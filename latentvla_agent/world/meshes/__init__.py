"""Triangle meshes of the embedded world: streets from city maps, actors from the boxes of a log frame."""
