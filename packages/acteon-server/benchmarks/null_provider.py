"""The server with a provider that answers at once, so that what is measured is the gateway."""

import asyncio
import sys
from pathlib import Path

from acteon.core import Action, ProviderResponse
from acteon.provider import FunctionProvider, ProviderRegistry
from acteon.server.config import Config, load_config
from acteon.server.serve import serve


async def answer(action: Action) -> ProviderResponse:
    """Answer at once."""
    return ProviderResponse(body={"ok": True})


def main() -> None:
    """Serve the configuration that the command line names, with one provider more."""
    config: Config = load_config(Path(sys.argv[1]))
    providers = ProviderRegistry.of({"null": FunctionProvider(answer)})
    asyncio.run(serve(config, providers=providers))


if __name__ == "__main__":
    main()
