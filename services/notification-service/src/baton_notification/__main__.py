"""Starts notification as a process of its own."""

from baton_chassis.serving import main
from baton_contracts.topics import NOTIFICATION
from baton_notification.app import build
from baton_notification.settings import Settings

if __name__ == "__main__":
    main(build, Settings, name=NOTIFICATION)
