"""Sizes of files as people say them."""


def in_megabytes(size: int) -> str:
    """Bytes as "226 MB", in units of 2**20 as torchvision's tables have them."""
    megabytes = size / 2**20
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.1f} MB"
