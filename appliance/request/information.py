"""What is answered here, without a provider: lists of models, the account of a request, what would be done with one.
The rule: no record, no money.

Such a call waits for nothing but the database, within a limit, and counts among the key's requests while it does.
"""

from appliance.domain.errors import CallerFault
from appliance.request.account import Accounts
from appliance.request.admit import Doorkeeper
from appliance.request.call import Call
from appliance.request.endpoint import EXPLAIN, REQUEST
from appliance.request.explain import Explainer, dialect_asked
from appliance.request.listing import Listing
from appliance.request.slots import Slots


class Information:
    """Makes the bodies of such answers. `most_requests`: of one key at the same time."""

    def __init__(
        self,
        listing: Listing,
        accounts: Accounts,
        explainer: Explainer,
        doorkeeper: Doorkeeper,
        key_slots: Slots,
        most_requests: int,
    ) -> None:
        self._listing = listing
        self._accounts = accounts
        self._explainer = explainer
        self._doorkeeper = doorkeeper
        self._key_slots = key_slots
        self._most_requests = most_requests

    async def body(self, call: Call) -> bytes:
        """The answer as JSON. Raises CallerFault, or an ApplianceFault."""
        key, endpoint = call.key, call.endpoint
        if endpoint.name not in (REQUEST.name, EXPLAIN.name):
            access = self._doorkeeper.access(key)
            return self._listing.body(endpoint.dialect, key, access, call.argument, call.query)
        if not self._key_slots.take(key.key_id, self._most_requests):
            raise CallerFault("too_many_requests_of_key", retry_after_s=1)
        try:
            if endpoint is EXPLAIN:
                return await self._explainer.body(call)
            return await self._accounts.body(key, call.argument)
        finally:
            self._key_slots.give_back(key.key_id)

    def dialect(self, call: Call) -> str:
        """In whose words a call is refused."""
        return dialect_asked(call.query) if call.endpoint is EXPLAIN else call.endpoint.dialect
