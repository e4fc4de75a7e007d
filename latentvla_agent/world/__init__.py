"""The embedded driving world: towns, traffic, rare events and what cameras and lidar see of them."""
