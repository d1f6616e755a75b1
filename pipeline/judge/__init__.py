"""A judge that sees pixels alone: what of a sample's title a picture shows."""
