"""Ask the API one question through the published client, as its users do.

GLYPH_API_BASE and GLYPH_API_KEY say whom and with what; the question is the argument. Prints the answer as
JSON, or the client's own words about the refusal to standard error (exit code 1).
"""
import json
import sys

from glyph_forge.core.client.exceptions import ForgeClientError
from glyph_forge.core.client.forge_client import ForgeClient

try:
    with ForgeClient() as client:
        print(json.dumps(client.ask(message=sys.argv[1])))
except ForgeClientError as error:
    sys.exit(str(error))
