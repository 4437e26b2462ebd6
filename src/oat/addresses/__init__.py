"""Addresses: the URLs and paths of the backing services, parsed and checked once, and printed without secrets.

One function for each kind returns its parts: `parse_broker`, `parse_database`, `parse_target`, `parse_api_url`,
`check_endpoint`. All raise `SettingsError` with a message that quotes nothing that could be a secret.
"""

from oat.addresses.broker import BrokerAddress, parse_broker
from oat.addresses.database import MYSQL, POSTGRESQL, SQLITE, DatabaseAddress, parse_database
from oat.addresses.http import ApiAddress, check_endpoint, parse_api_url
from oat.addresses.paths import cache_folder, data_folder, expand, folder_url, sqlite_url, unset_empty
from oat.addresses.secrets import redact, redact_urls
from oat.addresses.target import BucketAddress, parse_target

__all__ = [
    "MYSQL",
    "POSTGRESQL",
    "SQLITE",
    "ApiAddress",
    "BrokerAddress",
    "BucketAddress",
    "DatabaseAddress",
    "cache_folder",
    "check_endpoint",
    "data_folder",
    "expand",
    "folder_url",
    "parse_api_url",
    "parse_broker",
    "parse_database",
    "parse_target",
    "redact",
    "redact_urls",
    "sqlite_url",
    "unset_empty",
]
