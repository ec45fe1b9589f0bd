"""C-CDA documents, and any other CDA R2 ClinicalDocument, read into facts."""

from baton_formats.ccda.doubts import DETAILS
from baton_formats.ccda.fields import MAPPINGS
from baton_formats.ccda.reader import read

__all__ = ["DETAILS", "MAPPINGS", "read"]
