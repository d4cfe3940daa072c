"""The tables of alarms; everything asks for them here."""

from dashboard.alerts.models.incidents import (
    Event,
    EventKind,
    Incident,
    Pending,
)
from dashboard.alerts.models.outbox import (
    NEWS,
    REGULAR,
    TOLD,
    TROUBLE,
    Change,
    Channel,
    ChannelKind,
    Delivery,
    Notification,
    Recipient,
    Subscription,
    plain_address,
)
from dashboard.alerts.models.rules import (
    CREDIT_KINDS,
    FARTHEST_SILENCE,
    LONGEST_SILENCE,
    Rule,
    RuleKind,
    Severity,
    Silence,
)

__all__ = [
    "CREDIT_KINDS",
    "FARTHEST_SILENCE",
    "LONGEST_SILENCE",
    "NEWS",
    "REGULAR",
    "TOLD",
    "TROUBLE",
    "Change",
    "Channel",
    "ChannelKind",
    "Delivery",
    "Event",
    "EventKind",
    "Incident",
    "Notification",
    "Pending",
    "Recipient",
    "Rule",
    "RuleKind",
    "Severity",
    "Silence",
    "Subscription",
    "plain_address",
]
