"""The application: all routes of the API over one gateway."""

from attrs import frozen
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from acteon.gateway import Gateway
from acteon.server.auth.signin import SignIn
from acteon.server.config import ServerSection
from acteon.server.http.answers import send_empty
from acteon.server.http.audit import AuditEndpoints
from acteon.server.http.auth import AuthEndpoints, login_limits
from acteon.server.http.bodies import BodyReader
from acteon.server.http.cors import CorsPolicy
from acteon.server.http.dispatch import BatchRoute, DispatchRoute
from acteon.server.http.docs import DocsEndpoints
from acteon.server.http.edge import HttpApp
from acteon.server.http.health import HealthEndpoints
from acteon.server.http.identity import (
    Authenticate,
    Entrance,
    Limit,
    LimitActions,
    anonymous,
)
from acteon.server.http.letters import DeadLetterEndpoints
from acteon.server.http.mounting import sent_path
from acteon.server.http.prometheus import registry_of
from acteon.server.http.providers import ProviderEndpoints, Reload
from acteon.server.http.proxies import Proxies
from acteon.server.http.replays import ReplayEndpoints
from acteon.server.http.routes import Endpoint, RawRoute, answering
from acteon.server.http.rules import RuleEndpoints


def create_app(
    gateway: Gateway,
    server: ServerSection | None = None,
    *,
    authenticate: Authenticate = anonymous,
    limit: Limit | None = None,
    limit_actions: LimitActions | None = None,
    sign_in: SignIn | None = None,
    reload_providers: Reload | None = None,
) -> HttpApp:
    """Return the ASGI application that serves `gateway`, which is open as long as it is used.

    It can be mounted in another application at any path. That one then says which pages may use
    it, unless `server` does, and may have found out who asks: `authenticate` sees its scope.

    Args:
        gateway: What actions are handed to.
        server: The limits of requests, and which pages may use the server; None: the defaults.
        authenticate: Tells who sent a request to a route that not everybody may use.
        limit: Counts these requests.
        limit_actions: Counts the actions that they are about to dispatch.
        sign_in: Gives users tokens for passwords; None: nobody can sign in.
        reload_providers: Puts the providers of the configuration in force; None: there is none.
    """
    entrance = Entrance(authenticate, limit)
    settings = server or ServerSection()
    bodies = BodyReader(settings)
    dispatch = DispatchRoute(gateway, bodies, limit_actions)
    batch = BatchRoute(gateway, bodies, settings.max_batch, limit_actions)
    rules = RuleEndpoints(gateway, bodies)
    providers = ProviderEndpoints(gateway, bodies, reload_providers)
    audit = AuditEndpoints(gateway.audit)
    replays = ReplayEndpoints(gateway, bodies, limit_actions)
    letters = DeadLetterEndpoints(gateway.dead_letters, gateway.audit)
    auth = AuthEndpoints(BodyReader(login_limits(settings)), sign_in, gateway.audit)

    def protected(path: str, **methods: Endpoint) -> RawRoute:
        apps = {method: answering(endpoint) for method, endpoint in methods.items()}
        return RawRoute(path, apps, entrance)

    routes = [
        *_public_routes(gateway, sign_in),
        RawRoute("/v1/auth/login", {"POST": answering(auth.login)}),
        RawRoute("/v1/dispatch", {"POST": dispatch}, entrance),
        RawRoute("/v1/dispatch/batch", {"POST": batch}, entrance),
        protected("/v1/rules", GET=rules.list_all),
        protected("/v1/rules/reload", POST=rules.reload),
        protected("/v1/rules/evaluate", POST=rules.evaluate),
        protected("/v1/rules/{name}/enabled", PUT=rules.set_enabled),
        protected("/v1/providers", GET=providers.list_all),
        protected("/v1/providers/health", GET=providers.health),
        protected("/v1/providers/reload", POST=providers.reload),
        protected("/v1/providers/{name}/circuit", PUT=providers.set_circuit),
        protected("/v1/audit", GET=audit.query),
        # An action may be called `replay` or `erase`, too.
        protected("/v1/audit/replay", POST=replays.replay, GET=audit.latest_of("replay")),
        protected("/v1/audit/erase", POST=replays.erase, GET=audit.latest_of("erase")),
        protected("/v1/audit/{action_id}/replay", POST=replays.replay_one),
        protected("/v1/audit/{action_id}", GET=audit.latest),
        protected("/v1/dlq/stats", GET=letters.stats),
        protected("/v1/dlq/drain", POST=letters.drain),
        protected("/v1/auth/logout", POST=auth.logout),
    ]
    direct = Direct(
        {b"/v1/dispatch": dispatch, b"/v1/dispatch/batch": batch},
        Router(routes, redirect_slashes=False, default=_not_found),
        entrance,
    )
    return HttpApp(
        direct,
        CorsPolicy(settings.cors_allowed_origins),
        routes,
        Proxies.within(settings.trusted_proxies),
    )


def _public_routes(gateway: Gateway, sign_in: SignIn | None) -> list[RawRoute]:
    book = None if sign_in is None else sign_in.book
    health = HealthEndpoints(gateway, registry_of(gateway, book))
    docs = DocsEndpoints()
    reading = {
        "/health": health.health,
        "/ready": health.ready,
        "/metrics": health.metrics,
        "/metrics/prometheus": health.prometheus,
        "/api-doc/openapi.json": docs.openapi,
        "/swagger-ui": docs.to_index,
        "/swagger-ui/": docs.index,
        "/swagger-ui/{file}": docs.asset,
    }
    return [RawRoute(path, {"GET": answering(endpoint)}) for path, endpoint in reading.items()]


@frozen
class Direct:
    """Takes the two hottest requests past the router.

    Attributes:
        posts: What answers a POST to these paths.
        router: Answers all others.
        entrance: Lets requests in.
    """

    posts: dict[bytes, ASGIApp]
    router: Router
    entrance: Entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.posts.get(scope["raw_path"])
        if route is None or scope["method"] != "POST":
            scope["raw_path"] = sent_path(scope)
            await self.router(scope, receive, send)
            return
        await self.entrance(scope)
        await route(scope, receive, send)


async def _not_found(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send_empty(send, 404)
