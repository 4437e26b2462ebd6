"""The codes of database errors, with their names, and what each kind of error means to a service.

Sources: PostgreSQL's manual, appendix "PostgreSQL Error Codes"; the MariaDB Knowledge Base, "MariaDB Error Codes";
the MySQL reference manual, "Server Error Message Reference" and "Client Error Message Reference"; sqlite.org,
"Result and Error Codes". The names are those of the drivers, or of these pages where a driver has none.
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What a service does about an error."""

    TRANSIENT = "transient"
    """It waits, with growing pauses, and runs the transaction again on a new connection."""
    PERMANENT = "permanent"
    """It ends with one line: somebody has to change something, and trying again would not help."""
    BUG = "bug"
    """It raises the error: the program has done something wrong."""


Codes = dict[int, tuple[str, ErrorKind]]

_T, _P, _B = ErrorKind.TRANSIENT, ErrorKind.PERMANENT, ErrorKind.BUG

POSTGRESQL_CLASSES: dict[str, tuple[str, ErrorKind]] = {
    "08": ("connection exception", _T),
    "28": ("invalid authorization specification", _P),
    "3D": ("invalid catalog name: there is no such database", _P),
    "3F": ("invalid schema name", _P),
    "40": ("transaction rollback", _T),
    "53": ("insufficient resources", _T),
    "55": ("object not in prerequisite state", _T),
    "57": ("operator intervention", _T),
    "58": ("system error", _T),
    "72": ("snapshot failure", _T),
    "F0": ("configuration file error", _P),
    "XX": ("internal error; poolers and extensions report with it what they cannot name", _T),
}
"""Classes of SQLSTATE, its first two characters. All others are bugs."""

POSTGRESQL: dict[str, tuple[str, ErrorKind]] = {
    "08P01": ("ProtocolViolation", _T),  # PgBouncer reports with it that it does not reach the server
    "25006": ("ReadOnlySqlTransaction", _T),  # a standby, until it is promoted or the primary is back
    "25P03": ("IdleInTransactionSessionTimeout", _T),
    "25P04": ("TransactionTimeout", _T),
    "26000": ("InvalidSqlStatementName", _T),  # a pooler has given our statement's connection to somebody else
    "28000": ("InvalidAuthorizationSpecification", _P),
    "28P01": ("InvalidPassword", _P),
    "3D000": ("InvalidCatalogName", _P),
    "40001": ("SerializationFailure", _T),
    "40002": ("TransactionIntegrityConstraintViolation", _B),
    "40003": ("StatementCompletionUnknown", _T),
    "40P01": ("DeadlockDetected", _T),
    "42501": ("InsufficientPrivilege", _P),
    "42703": ("UndefinedColumn", _P),  # as a table that was dropped in use
    "42P01": ("UndefinedTable", _P),  # dropped in use; the next start makes the tables
    "53100": ("DiskFull", _T),
    "53200": ("OutOfMemory", _T),
    "53300": ("TooManyConnections", _T),
    "55P03": ("LockNotAvailable", _T),
    "57014": ("QueryCanceled", _T),
    "57P01": ("AdminShutdown", _T),
    "57P02": ("CrashShutdown", _T),
    "57P03": ("CannotConnectNow", _T),
    "57P04": ("DatabaseDropped", _P),
    "57P05": ("IdleSessionTimeout", _T),
    "XX001": ("DataCorrupted", _P),
    "XX002": ("IndexCorrupted", _P),
}
"""SQLSTATEs, before their classes: those that differ, and those that are met most."""

MYSQL_CLASSES: dict[str, tuple[str, ErrorKind]] = {
    "08": ("connection exception", _T),
    "28": ("invalid authorization specification", _P),
    "40": ("transaction rollback", _T),
    "70": ("interrupted", _T),
}
"""Classes of the SQLSTATE that comes with an error number that `MYSQL` does not have. All others are bugs."""

MYSQL: Codes = {
    0: ("the connection is closed", _T),  # PyMySQL's own
    1004: ("CANT_CREATE_FILE", _T),
    1005: ("CANT_CREATE_TABLE", _T),
    1015: ("CANT_LOCK", _T),
    1016: ("CANT_OPEN_FILE", _T),
    1020: ("CHECKREAD", _T),  # a record has changed since the last read: MariaDB's innodb_snapshot_isolation
    1021: ("DISK_FULL", _T),
    1023: ("ERROR_ON_CLOSE", _T),
    1024: ("ERROR_ON_READ", _T),
    1026: ("ERROR_ON_WRITE", _T),
    1027: ("FILE_USED", _T),
    1030: ("GET_ERRNO", _T),  # an error of the storage engine, such as a full disk
    1034: ("NOT_KEYFILE", _P),  # a damaged index
    1035: ("OLD_KEYFILE", _P),
    1036: ("OPEN_AS_READONLY", _T),
    1037: ("OUTOFMEMORY", _T),
    1038: ("OUT_OF_SORTMEMORY", _T),
    1040: ("CON_COUNT_ERROR", _T),  # too many connections
    1041: ("OUT_OF_RESOURCES", _T),
    1042: ("BAD_HOST_ERROR", _T),
    1043: ("HANDSHAKE_ERROR", _T),
    1044: ("DBACCESS_DENIED_ERROR", _P),
    1045: ("ACCESS_DENIED_ERROR", _P),
    1047: ("UNKNOWN_COM_ERROR", _T),  # a node of a Galera cluster that is not synchronized
    1049: ("BAD_DB_ERROR", _P),
    1053: ("SERVER_SHUTDOWN", _T),
    1054: ("BAD_FIELD_ERROR", _P),  # a column that was dropped in use
    1077: ("NORMAL_SHUTDOWN", _T),
    1078: ("GOT_SIGNAL", _T),
    1079: ("SHUTDOWN_COMPLETE", _T),
    1080: ("FORCING_CLOSE", _T),
    1105: ("UNKNOWN_ERROR", _T),  # of proxies, for what they cannot name
    1114: ("RECORD_FILE_FULL", _T),  # the table is full, mostly since the disk is
    1115: ("UNKNOWN_CHARACTER_SET", _P),
    1129: ("HOST_IS_BLOCKED", _T),  # until somebody says FLUSH HOSTS
    1130: ("HOST_NOT_PRIVILEGED", _P),
    1135: ("CANT_CREATE_THREAD", _T),
    1142: ("TABLEACCESS_DENIED_ERROR", _P),
    1143: ("COLUMNACCESS_DENIED_ERROR", _P),
    1146: ("NO_SUCH_TABLE", _P),  # dropped in use; the next start makes the tables
    1152: ("ABORTING_CONNECTION", _T),
    1158: ("NET_READ_ERROR", _T),
    1159: ("NET_READ_INTERRUPTED", _T),
    1160: ("NET_ERROR_ON_WRITE", _T),
    1161: ("NET_WRITE_INTERRUPTED", _T),
    1180: ("ERROR_DURING_COMMIT", _T),
    1181: ("ERROR_DURING_ROLLBACK", _T),
    1184: ("NEW_ABORTING_CONNECTION", _T),
    1194: ("CRASHED_ON_USAGE", _P),
    1195: ("CRASHED_ON_REPAIR", _P),
    1203: ("TOO_MANY_USER_CONNECTIONS", _T),
    1205: ("LOCK_WAIT_TIMEOUT", _T),
    1206: ("LOCK_TABLE_FULL", _T),
    1213: ("LOCK_DEADLOCK", _T),
    1226: ("USER_LIMIT_REACHED", _T),
    1227: ("SPECIFIC_ACCESS_DENIED_ERROR", _P),
    1251: ("NOT_SUPPORTED_AUTH_MODE", _P),
    1273: ("UNKNOWN_COLLATION", _P),
    1275: ("SERVER_IS_IN_SECURE_AUTH_MODE", _P),
    1290: ("OPTION_PREVENTS_STATEMENT", _T),  # read_only: a replica, until it is promoted or the primary is back
    1297: ("GET_TEMPORARY_ERRMSG", _T),
    1317: ("QUERY_INTERRUPTED", _T),
    1370: ("PROCACCESS_DENIED_ERROR", _P),
    1412: ("TABLE_DEF_CHANGED", _T),
    1524: ("ER_PLUGIN_IS_NOT_LOADED", _P),
    1637: ("ER_TOO_MANY_CONCURRENT_TRXS", _T),
    1689: ("ER_LOCK_ABORTED", _T),
    1698: ("ER_ACCESS_DENIED_NO_PASSWORD_ERROR", _P),
    1712: ("ER_INDEX_CORRUPT", _P),
    1792: ("ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", _T),  # as 1290, of a server with transaction_read_only
    1820: ("MUST_CHANGE_PASSWORD", _P),
    1836: ("ER_READ_ONLY_MODE", _T),
    1862: ("MUST_CHANGE_PASSWORD_LOGIN", _P),
    1874: ("ER_INNODB_READ_ONLY", _T),
    1877: ("ER_TABLE_CORRUPT", _P),
    1927: ("ER_CONNECTION_KILLED", _T),
    1932: ("ER_NO_SUCH_TABLE_IN_ENGINE", _P),
    1969: ("STATEMENT_TIMEOUT", _T),
    2001: ("CR_SOCKET_CREATE_ERROR", _T),
    2002: ("CR_CONNECTION_ERROR", _T),
    2003: ("CR_CONN_HOST_ERROR", _T),
    2004: ("CR_IPSOCK_ERROR", _T),
    2005: ("CR_UNKNOWN_HOST", _T),
    2006: ("CR_SERVER_GONE_ERROR", _T),
    2012: ("CR_SERVER_HANDSHAKE_ERR", _T),
    2013: ("CR_SERVER_LOST", _T),
    2026: ("CR_SSL_CONNECTION_ERROR", _T),
    2027: ("CR_MALFORMED_PACKET", _T),
    2055: ("CR_SERVER_LOST_EXTENDED", _T),
    2059: ("CR_AUTH_PLUGIN_CANNOT_LOAD", _P),
    2061: ("CR_AUTH_PLUGIN_ERR", _P),
    3024: ("QUERY_TIMEOUT", _T),
    3032: ("ER_SERVER_OFFLINE_MODE", _T),
    3100: ("ER_RUN_HOOK_ERROR", _T),  # group replication refuses a commit while its members disagree
    3101: ("ER_TRANSACTION_ROLLBACK_DURING_COMMIT", _T),
    3118: ("ER_ACCOUNT_HAS_BEEN_LOCKED", _P),
    3159: ("ER_SECURE_TRANSPORT_REQUIRED", _P),
    3168: ("ER_SERVER_ISNT_AVAILABLE", _T),
    3169: ("ER_SESSION_WAS_KILLED", _T),
    3170: ("ER_CAPACITY_EXCEEDED", _T),
    3572: ("ER_LOCK_NOWAIT", _T),
    4031: ("ER_CLIENT_INTERACTION_TIMEOUT", _T),
    4151: ("ER_ACCOUNT_HAS_BEEN_LOCKED", _P),  # MariaDB's
    9001: ("ProxySQL: max connect timeout reached while reaching hostgroup", _T),
}
"""Error numbers of MySQL and MariaDB: from 1000 of the server, from 2000 of the client."""

SQLITE: Codes = {
    1: ("SQLITE_ERROR", _P),  # a table or column that was dropped in use: our statements are right, or tests fail
    3: ("SQLITE_PERM", _P),
    4: ("SQLITE_ABORT", _T),
    5: ("SQLITE_BUSY", _T),
    6: ("SQLITE_LOCKED", _T),
    7: ("SQLITE_NOMEM", _T),
    8: ("SQLITE_READONLY", _T),  # a disk that the kernel has made read-only, until it is well again
    9: ("SQLITE_INTERRUPT", _T),
    10: ("SQLITE_IOERR", _T),
    11: ("SQLITE_CORRUPT", _P),
    13: ("SQLITE_FULL", _T),
    14: ("SQLITE_CANTOPEN", _P),
    15: ("SQLITE_PROTOCOL", _T),  # a race for the locks of the write-ahead log
    17: ("SQLITE_SCHEMA", _T),
    22: ("SQLITE_NOLFS", _P),
    23: ("SQLITE_AUTH", _P),
    26: ("SQLITE_NOTADB", _P),
}
"""Primary result codes of SQLite. All others are bugs."""
