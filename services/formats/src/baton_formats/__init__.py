"""HL7 v2, FHIR and C-CDA read into plain facts and written from them."""
