"""Where referrals and artifacts are kept: tables, and the way between a row and what it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from baton_chassis.database import Instant, Row
from baton_chassis.database.columns import Json, sealed, token
from baton_chassis.repository import Repository
from baton_chassis.tables import chassis_tables
from pydantic import TypeAdapter
from sqlalchemy import Column, Index
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from baton_intake import published
from baton_intake.domain.artifact import Artifact, ArtifactStatus, Finding, Received
from baton_intake.domain.lookup import LookupNumber
from baton_intake.domain.referral import Card, Lines, Referral, Remark
from baton_intake.domain.request import ExternalKey, Patient, ReferralRequest
