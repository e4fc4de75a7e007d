"""What the commands `latentvla train …` do: scenes, caches, then a training. Brings torch and Lightning."""
