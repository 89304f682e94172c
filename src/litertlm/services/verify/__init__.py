"""How close a bundle is to its checkpoint: structure, prompts and ids, quality, behaviour."""
