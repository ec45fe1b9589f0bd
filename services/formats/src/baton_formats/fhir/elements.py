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


def _targets(text: str) -> dict[str, tuple[str, ...]]:
    """Lines of element names, a colon, and the types they may point at, the likeliest first."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        names, _, kinds = line.partition(":")
        found |= dict.fromkeys(names.split(), tuple(kinds.split()))
    return found


TARGETS = _targets(
    """
    subject patient for beneficiary: Patient Group Device Location RelatedPerson Practitioner Organization
    actor: Patient Practitioner PractitionerRole Organization RelatedPerson Device HealthcareService Location
    requester performer owner agent: Practitioner PractitionerRole Organization Patient RelatedPerson CareTeam Device HealthcareService
    author sender recipient individual: Practitioner PractitionerRole Organization Patient RelatedPerson CareTeam Device HealthcareService
    responsible receiver authenticator party: Practitioner PractitionerRole Organization Patient RelatedPerson
    resultsInterpreter generalPractitioner: Practitioner PractitionerRole Organization CareTeam
    practitioner: Practitioner
    organization managingOrganization onBehalfOf providedBy custodian assigner: Organization
    payor insurer issuer: Organization Patient RelatedPerson
    insurance: Coverage ClaimResponse
    location: Location
    schedule: Schedule
    slot: Slot
    encounter: Encounter
    """  # noqa: E501
)
"""What a reference by number alone may mean, by the element it stands in; others may mean anything."""
