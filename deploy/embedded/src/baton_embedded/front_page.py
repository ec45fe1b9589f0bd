"""The page at the address that `up` prints: what runs here and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from baton_chassis.doors import Answer, Ask, Routes

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Baton, development</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/o/assets/office.css">
</head>
<body>
<header class="top"><p class="practice">Baton is running (development)</p></header>
<main id="main">
<section class="card">
<h1>Where to look</h1>
<p>Invented people only; nothing leaves this machine.</p>
<ul>
<li><a href="/dev/mailbox">Mail to referring offices</a>, with the links to their pages</li>
<li><a href="/readyz?verbose">How every part does</a></li>
<li><a href="/openapi.json">The API description</a></li>
<li><code>baton events tail --follow</code> shows events as they happen;
<code>GET /v1/events/stream</code> is the same for programs</li>
</ul>
</section>
<section class="card">
<h2>Metrics</h2>
<ul>
{metrics}
</ul>
</section>
</main>
</body>
</html>
"""


def front_html(metrics: Mapping[str, str]) -> str:
    """The page, with the addresses of metrics by the name of the process."""
    links = (f'<li><a href="{escape(address)}">{escape(name)}</a></li>' for name, address in metrics.items())
    return _PAGE.format(metrics="\n".join(links))


def front_page() -> Routes:
    """The door at `/` of one process."""
    routes = Routes(tag="front")
    page = front_html({"All services in this process": "/metrics"})

    @routes.page("GET", "/", public=True, summary="Say what runs here.")
    async def show(ask: Ask[Any]) -> Answer:
        return Answer(body=page, media_type="text/html")

    return routes
