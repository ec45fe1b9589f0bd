"""The elements of R4 resources (and of STU3's ReferralRequest), so that strangers among them can be named."""

from __future__ import annotations


def _elements(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON = _elements(
    "resourceType id meta implicitRules language text contained extension modifierExtension fhir_comments"
)
"""What any resource may carry."""

ELEMENTS: dict[str, frozenset[str]] = {
    "Patient": _elements(
        """
        identifier active name telecom gender birthDate deceasedBoolean deceasedDateTime address
        maritalStatus multipleBirthBoolean multipleBirthInteger photo contact communication
        generalPractitioner managingOrganization link animal
        """
    ),
    "Practitioner": _elements(
        """
        identifier active name telecom address gender birthDate photo qualification
        communication
        """
    ),
    "Organization": _elements(
        """
        identifier active type name alias telecom address partOf contact endpoint
        """
    ),
    "Location": _elements(
        """
        identifier status operationalStatus name alias description mode type telecom address
        physicalType position managingOrganization partOf hoursOfOperation
        availabilityExceptions endpoint
        """
    ),
    "Coverage": _elements(
        """
        identifier status type policyHolder subscriber subscriberId beneficiary dependent
        relationship period payor class order network costToBeneficiary subrogation contract
        grouping sequence insurer issuer
        """
    ),
    "ServiceRequest": _elements(
        """
        identifier instantiatesCanonical instantiatesUri basedOn replaces requisition status
        intent category priority doNotPerform code orderDetail quantityQuantity quantityRatio
        quantityRange subject encounter occurrenceDateTime occurrencePeriod occurrenceTiming
        asNeededBoolean asNeededCodeableConcept authoredOn requester performerType performer
        locationCode locationReference reasonCode reasonReference insurance supportingInfo
        specimen bodySite note patientInstruction relevantHistory
        """
    ),
    "Task": _elements(
        """
        identifier instantiatesCanonical instantiatesUri basedOn groupIdentifier partOf status
        statusReason businessStatus intent priority code description focus for encounter
        executionPeriod authoredOn lastModified requester performerType owner location
        reasonCode reasonReference insurance note relevantHistory restriction input output
        """
    ),
    "ReferralRequest": _elements(
        """
        definition basedOn replaces groupIdentifier identifier status intent type priority
        serviceRequested subject context occurrenceDateTime occurrencePeriod authoredOn
        requester specialty recipient reasonCode reasonReference description supportingInfo note
        relevantHistory
        """
    ),
    "Appointment": _elements(
        """
        identifier status cancelationReason serviceCategory serviceType specialty
        appointmentType reasonCode reasonReference priority description supportingInformation
        start end minutesDuration slot created comment patientInstruction basedOn participant
        requestedPeriod reason incomingReferral indication
        """
    ),
    "DocumentReference": _elements(
        """
        masterIdentifier identifier status docStatus type category subject date author
        authenticator custodian relatesTo description securityLabel content context class
        created indexed
        """
    ),
    "Composition": _elements(
        """
        identifier status type category subject encounter date author title confidentiality
        attester custodian relatesTo event section class
        """
    ),
    "OperationOutcome": _elements(
        """
        issue
        """
    ),
}
"""Other types are not checked."""
