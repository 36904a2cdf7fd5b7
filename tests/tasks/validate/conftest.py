from parity.conftest import real_mirror

__all__ = ["real_mirror"]
