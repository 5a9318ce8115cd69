"""An EMM's server, as far as Google is concerned: `emm.py <case> <url> <key file>`."""

import sys
import warnings

# Google's libraries warn of every Python that is not the newest, as soon as they are imported.
warnings.simplefilter("ignore")

import canonical  # noqa: E402
import fields  # noqa: E402
import management  # noqa: E402
import messages  # noqa: E402

if __name__ == "__main__":
    case = f"case_{sys.argv[1]}"
    module = next(module for module in (canonical, fields, management, messages) if hasattr(module, case))
    getattr(module, case)(sys.argv[2], sys.argv[3])
