"""Says how fresh assets are: states decided from policies, stored when they change."""
