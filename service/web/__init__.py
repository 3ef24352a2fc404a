"""The HTTP edge, one file a resource."""
