"""XDM archives (IHE XDM, Direct): a zip with documents and what its sender says about them."""

from baton_formats.xdm.reader import DETAILS, MAPPINGS, read

__all__ = ["DETAILS", "MAPPINGS", "read"]
