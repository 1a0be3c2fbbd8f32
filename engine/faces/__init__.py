"""Finding and measuring faces: detector, 478-point mesh, person mask, pose and measures."""
