"""What an attempt used when the provider did not say. The rule: an estimate says that it is one, the rest is unknown.

A stream that was cut tells no usage (chat sends it last, Responses in the terminal event), and the loser of a race is
always cut. What is billed then differs by provider (`Provider.abort_billing`): OpenAI bills the input and what was
generated until it noticed (community reports; no promise is documented), Google's and others run on to the end and
bill it all (OpenRouter's list of providers that can cancel).
"""

import msgspec

from appliance.domain.catalog import AbortBilling
from appliance.domain.money import Cost, Rates, cost_of
from appliance.domain.tokens import NO_TOKENS, Tokens

BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English text (help centre, "What are tokens": about four characters). JSON syntax and
base64 are counted like text, which errs upwards; other scripts come out within about a third. Grade: general knowledge.
"""


class Seen(msgspec.Struct, frozen=True):
    """What was seen of an attempt that ended without usage.

    `request_bytes`: of the body as sent. `accepted`: whether the provider may have begun to work: the request was sent
    whole and no error came back. `deltas`: content events; `text_bytes`: of their text, where it was counted.
    `most_output_tokens`: the request's limit, None without one.
    """

    request_bytes: int
    accepted: bool
    deltas: int = 0
    text_bytes: int = 0
    most_output_tokens: int | None = None


def estimate_tokens(seen: Seen, billing: AbortBilling) -> Tokens:
    """The tokens billed for an attempt without usage.

    Not accepted (refused, failed, or the socket never took the request): none, and that is known. Else nothing for
    "free"; input and what was seen for "partial"; input and the request's output limit for "full", where without a
    limit the output cannot be told and the estimate is unknown. A silent attempt counts its input: whether a flex
    call that was cancelled while it waited is billed is documented nowhere, and reasoning that was not streamed is
    not seen.
    """
    if not seen.accepted:
        return NO_TOKENS
    if billing == "free":
        return Tokens(0, 0, 0, 0, 0, "estimated")
    read = tokens_of_bytes(seen.request_bytes)
    # A delta is at least one token; providers batch several into one, so the bytes say more when there are many.
    written = max(seen.deltas, tokens_of_bytes(seen.text_bytes))
    if billing == "full":
        if seen.most_output_tokens is None:
            return Tokens(read, None, None, None, None, "unknown")
        written = max(written, seen.most_output_tokens)
    elif seen.most_output_tokens is not None:
        written = min(written, seen.most_output_tokens)
    return Tokens(read, written, 0, 0, None, "estimated")


def tokens_of_bytes(size_bytes: int) -> int:
    """Tokens of so many bytes of text, rounded up."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def counterfactual(tokens: Tokens, default_rates: Rates | None) -> Cost:
    """What the request would have cost had it always gone to `default`: the winner's tokens at default's rates.

    `known` rests on the assumption that the tier does not change the answer's length.
    """
    return cost_of(tokens, default_rates)


def begun_cost(request_bytes: int, most_output_tokens: int | None, rates: Rates | None, billing: AbortBilling) -> Cost:
    """An estimate of a request before it is sent, for the `begun` record: what it costs if nobody lives to settle it.

    With an output limit the most that it can cost; without one what the input costs, which is the least, unless the
    provider bills abandoned calls in full: then it is unknown.
    """
    if most_output_tokens is None and billing == "full":
        return Cost(None, "unknown_usage")
    return cost_of(Tokens(tokens_of_bytes(request_bytes), most_output_tokens or 0, 0, 0, None, "estimated"), rates)
