"""Rare events on purpose: each is a `Director` of the traffic simulation that is bound to one ego."""

from latentvla_agent.world.events.base import EgoEvent
from latentvla_agent.world.events.config import EventConfig
from latentvla_agent.world.events.directors import KINDS, count_events, make_directors

__all__ = ["KINDS", "EgoEvent", "EventConfig", "count_events", "make_directors"]
