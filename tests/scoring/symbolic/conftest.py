from e2e.fixtures import fake, here, mirror, plugin

__all__ = ["fake", "here", "mirror", "plugin"]
