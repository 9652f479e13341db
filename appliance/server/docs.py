"""The page that a fault's `doc_url` leads to. The rule: made from the table of faults, so it is never out of date."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from appliance.domain.errors import FAULTS

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Startline: error codes</title>
<style>body{{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}td,th{{text-align:left;
padding:.3rem .8rem .3rem 0;vertical-align:top}}tr:target{{background:#ffef9e}}</style>
<h1>Error codes</h1><table><tr><th>code<th>class<th>status<th>retry<th>what to do</tr>{rows}</table></html>
"""


async def errors_page(_: Request) -> Response:
    """GET /docs/errors."""
    rows = "".join(
        f'<tr id="{kind.code}"><td><code>{kind.code}</code><td>{kind.klass}<td>{kind.status}'
        f"<td>{'yes' if kind.retryable else 'no'}<td>{escape(kind.remedy)}</tr>\n"
        for kind in FAULTS.values()
    )
    return HTMLResponse(_PAGE.format(rows=rows))
