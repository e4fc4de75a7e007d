"""nuScenes: its tables, sensors and map expansion as scenes of ours, and a writer of miniature databases."""
