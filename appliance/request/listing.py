"""The models there are, for the asking key. The rule: what is listed can be called, by exactly the id listed."""

from typing import TYPE_CHECKING

from appliance.domain.errors import CallerFault, Fault
from appliance.policy.route import Route
from appliance.request.call import Call
from appliance.wire.models_listing import ModelRow, model_body, models_body

if TYPE_CHECKING:
    from appliance.request.answer import Gateway

JSON = (b"content-type", b"application/json")


def model_rows(gateway: "Gateway", organisation_id: str) -> list[ModelRow]:
    """The models of an organisation's providers, as a listing shows them."""
    return [_row(gateway, route) for route in gateway.planner.routing(organisation_id).models()]


def _row(gateway: "Gateway", route: Route) -> ModelRow:
    provider = route.provider
    capable = gateway.prices.flex_capable(provider.price_as or provider.kind, route.model)
    return ModelRow(
        id=route.model,
        provider=provider.name,
        tiers=provider.tiers,
        flex_race="flex" in provider.tiers and capable is not False,
        created_unix_s=provider.created_unix_s,
    )


async def answer_models(call: Call, gateway: "Gateway") -> None:
    """Answer `GET /models` or `/models/{id}`. Raises trio.BrokenResourceError when the client is gone."""
    access = gateway.doorkeeper.access(call.key)
    named = (b"x-startline-request-id", call.request_id.encode())
    try:
        if call.argument:
            route = gateway.planner.routing(call.key.organisation_id).find(call.argument)
            if not access.allows_model(call.argument, route.model):
                raise CallerFault("model_not_found", param="model")
            body = model_body(_row(gateway, route))
        else:
            rows = model_rows(gateway, call.key.organisation_id)
            body = models_body([row for row in rows if access.allows_model(row.id)])
    except Fault as fault:
        await gateway.refuse(call.reply, fault, call.request_id)
        return
    await call.reply.whole(200, [named, JSON], body)
