"""How the models learn: one loop, and a module with each model's losses."""
