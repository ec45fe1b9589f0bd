"""The AsyncAPI document: topics, their messages, who sends them. Written 3.0-compatible."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from baton_contracts.envelope import CONTENT_TYPE
from baton_contracts.events import EVENTS, Event
from baton_contracts.topics import ADDRESSES, PARTITIONS, TOPICS


def asyncapi_document() -> dict[str, Any]:
    """The document as plain data; message payloads refer to the published schemas beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Closed-loop referral events",
            "version": "1.0.0",
            "description": "Facts about referrals and offices. Identifiers, codes, states and times only.",
        },
        "defaultContentType": CONTENT_TYPE.partition(";")[0],
        "channels": {_name(topic): _channel(topic) for topic in TOPICS},
        "operations": _operations(),
        "components": {
            "messages": {_name(type_.value): _message(model) for type_, model in EVENTS.items()},
        },
    }


def _channel(topic: str) -> dict[str, Any]:
    messages = [type_.value for type_ in EVENTS if ADDRESSES[type_].topic == topic]
    return {
        "address": topic,
        "messages": {_name(name): {"$ref": f"#/components/messages/{_name(name)}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, "partitions": PARTITIONS}},
    }


def _operations() -> dict[str, Any]:
    """One operation per producer and line: what that service sends."""
    operations: dict[str, Any] = {}
    for type_ in EVENTS:
        address = ADDRESSES[type_]
        channel = f"#/channels/{_name(address.topic)}"
        operation = operations.setdefault(
            _name(f"{address.producer}.{address.line.value}"),
            {"action": "send", "channel": {"$ref": channel}, "messages": []},
        )
        operation["messages"].append({"$ref": f"{channel}/messages/{_name(type_.value)}"})
    return operations


def _message(model: type[Event]) -> dict[str, Any]:
    summary = (model.__doc__ or "").partition("\n")[0]
    return {
        "name": model.type.value,
        "summary": summary,
        "contentType": CONTENT_TYPE.partition(";")[0],
        "payload": {
            "allOf": [
                {"$ref": "./schemas/envelope.json"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": model.type.value},
                        "data": {"$ref": f"./schemas/{model.type.value}.json"},
                    },
                },
            ]
        },
    }


def _name(dotted: str) -> str:
    return dotted.replace(".", "_").replace("-", "_")


def to_yaml(document: Mapping[str, Any]) -> str:
    """Plain data as YAML: block style, texts quoted as JSON. Enough for what is generated here."""
    return "\n".join(_lines(document, "")) + "\n"


def _lines(value: Mapping[str, Any] | list[Any], indent: str) -> Iterator[str]:
    pairs = value.items() if isinstance(value, Mapping) else [("-", item) for item in value]
    for key, item in pairs:
        head = f"{indent}-" if isinstance(value, list) else f"{indent}{_key(key)}:"
        if isinstance(item, Mapping | list) and item:
            yield head
            yield from _lines(item, indent + "  ")
        else:
            yield f"{head} {json.dumps(item, ensure_ascii=False)}"


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() else json.dumps(name)
