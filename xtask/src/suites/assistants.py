"""What an assistant sees of the server, by the client of the Model Context Protocol.

    assistants.py URL      prints `ok NAME` or `FAILED NAME: why` for each test, then `end COUNT`
"""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client import streamable_http

# Newer clients spell it in two words.
connect = getattr(streamable_http, "streamablehttp_client", None) or streamable_http.streamable_http_client
TOOLS = ["list_metrics", "query", "explain", "list_health", "list_alerts"]


async def greets(session, hello):
    info = getattr(hello, "serverInfo", None) or hello.server_info
    assert info.name == "barograph", hello


async def lists_tools(session, hello):
    tools = (await session.list_tools()).tools
    assert [tool.name for tool in tools] == TOOLS, tools


async def found(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    is_error = getattr(result, "isError", None) or getattr(result, "is_error", None)
    text = result.content[0].text
    return bool(is_error), text if is_error else json.loads(text)


async def evaluates(session, hello):
    is_error, answer = await found(session, "query", query="1 + 1")
    assert not is_error and answer["data"]["result"][1] == "2", answer
    assert answer["asked"] == "1 + 1" and "/ui/explore?q=1" in answer["link"], answer


async def evaluates_ranges(session, hello):
    is_error, answer = await found(session, "query", query="vector(1)", start="0", end="60", step="15s")
    assert not is_error and len(answer["data"]["result"][0]["values"]) == 5, answer


async def tells_mistakes(session, hello):
    is_error, text = await found(session, "query", query="sum(")
    assert is_error and "parse error" in text, text


async def explains(session, hello):
    is_error, answer = await found(session, "explain", query="sum(up)")
    assert not is_error and answer["data"], answer


async def looks_around(session, hello):
    for tool in ["list_metrics", "list_health", "list_alerts"]:
        is_error, answer = await found(session, tool)
        assert not is_error and isinstance(answer["data"], dict), (tool, answer)


TESTS = [greets, lists_tools, evaluates, evaluates_ranges, tells_mistakes, explains, looks_around]


async def main(url):
    async with connect(url) as streams, ClientSession(streams[0], streams[1]) as session:
        hello = await session.initialize()
        for test in TESTS:
            try:
                await test(session, hello)
                print("ok", test.__name__, flush=True)
            except Exception as error:
                print(f"FAILED {test.__name__}: {error!r}", flush=True)
        print("end", len(TESTS), flush=True)


asyncio.run(main(sys.argv[1]))
