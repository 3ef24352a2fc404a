"""`/api/tools`: what can be run."""

from starlette.responses import Response

from service.errors import ToolNotFoundError
from service.tools.tool import printable
from service.web.answers import json_answer
from service.web.state import ApiRequest


async def list_tools(request: ApiRequest) -> Response:
    """`GET /api/tools`: every tool by name; a broken one says why."""
    catalog = request.state["catalog"]
    catalog.refresh()
    tools = [tool.describe() for tool in catalog.tools()]
    return json_answer({"total": len(tools), "tools": tools})


async def show_tool(request: ApiRequest) -> Response:
    """`GET /api/tools/{name}`: one tool, broken or not."""
    catalog = request.state["catalog"]
    catalog.refresh()
    name: str = request.path_params["name"]
    for tool in catalog.tools():
        if tool.name == name:
            return json_answer(tool.describe())
    raise ToolNotFoundError(printable(name))
