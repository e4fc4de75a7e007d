"""Cameras and lidar of the embedded world: one ray caster over the meshes of `latentvla_agent.world.meshes`."""
