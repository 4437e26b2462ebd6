"""No part of a URL that may be a secret is in a message, a name or a `repr`, wherever in the URL it is."""

import traceback
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from oat.addresses import check_endpoint, parse_api_url, parse_broker, parse_database, parse_target, redact_urls
from oat.settings import Settings, SettingsError, load_settings

MARK = "s3cr3tpw"
"""No text of the program has it; the signs around it are what URLs and shells know."""

FORMS = (
    "{s}://user:{p}@host/name", "{s}://user:{p}@host:99999/name", "{s}://user:{p}@[::1/name", "{s}://{p}@host:x/",
    "{s}://user:{p}@host/name?nonsense=1", "{s}://host/name?user=user&password={p}", "{s}://host/name?passwd={p}",
    "{s}://host/?{p}", "{s}://u:x@host/?password={p}", "{s}://host/#{p}",
    "{s}:user:{p}@host", "{s}:/user:{p}@host/", "user:{p}@host", "{s}://u:1/{p}@host/", "{s}://u@host/?sslpassword={p}",
    "{s}://u@host/?connect_timeout={p}", "{s}://u:{p}@host/ name", "{s}://host/?heartbeat={p}", "{p}://u@host/", "{s}://{p}@host/",
    "{s}:///{p}@?x=1", "{s}://u:{p}@/", "{s}://u@host/n?ssl_check_hostname={p}", "{s}://user:{p}@host",
    "{s}://h/?password={p}&password={p}",
)  # fmt: skip

SCHEMES = (
    "amqp", "amqps", "AMQP", "filesystem", "sqlite", "mysql+pymysql", "mariadb+pymysql", "postgresql+psycopg",
    "mysql", "postgres", "oracle", "s3", "gs", "file", "http", "https", "redis",
)  # fmt: skip

passwords = st.text(st.sampled_from(":/?#[]@!$&'()*+,;=% \t\\\"{}|^`<>äß€"), max_size=4).flatmap(
    lambda text: st.sampled_from((MARK + text + MARK, text + MARK, MARK + text, quote(text + MARK, safe="")))
)


def told(call, *arguments):
    """All that a call says: the names and `repr` of its result, or its error with the traceback."""
    try:
        result = call(*arguments)
    except SettingsError as error:
        return "".join(traceback.format_exception(error)).replace(str(arguments), "")
    return f"{result!r} {getattr(result, 'name', '')}"


@settings(deadline=None)
@given(form=st.sampled_from(FORMS), scheme=st.sampled_from(SCHEMES), password=passwords)
@example(form="{s}://host/name?user=user&password={p}", scheme="postgresql+psycopg", password=MARK)
def test_a_password_in_a_url_is_never_told(form, scheme, password):
    assume("//{p}@" not in form or ":" not in password)  # what is in front of a colon is the user
    url = form.format(s=scheme, p=password)
    for parse in (parse_broker, parse_database):
        assert MARK not in told(parse, url)
    for setting in ("broker_url", "database_url"):
        assert MARK not in told(lambda name=setting: load_settings(**{name: url}))
    if "://" in url:
        assert MARK not in told(parse_target, url) or not url.startswith("s3://")
    for parse in (parse_api_url, lambda text: check_endpoint("AWS_ENDPOINT_URL", text)):
        assert MARK not in told(parse, url)


@settings(deadline=None)
@given(password=passwords)
def test_settings_are_printed_without_urls(password):
    quoted = quote(password, safe="")
    read = Settings(
        broker_url=f"amqp://u:{quoted}@host/", database_url=f"mysql+pymysql://u:{quoted}@host/n", api_token=MARK
    )
    assert MARK not in f"{read!r} {read} {read.model_dump_json(include={'api_token'})}"
    assert MARK not in told(lambda: load_settings(api_token=f"{MARK} \udcff"))
    assert parse_broker(read.broker_url).password == password
    assert parse_database(read.database_url).password == password


@pytest.mark.parametrize("scheme", ["mysql+pymysql", "postgresql+psycopg"])
def test_the_password_may_be_a_parameter(scheme):
    address = parse_database(f"{scheme}://127.0.0.1/q?user=tutorial&password={MARK}")
    assert (address.user, address.password) == ("tutorial", MARK)
    assert address.name == f"{scheme}://tutorial:***@127.0.0.1/q"
    assert not address.options


@pytest.mark.parametrize(
    ("call", "url", "complaint"),
    [
        (parse_broker, "amqp://h/?connection_timeout=soon", "connection_timeout is a whole number of seconds"),
        (parse_broker, "amqp://h/?retry=1&frames=2", "unknown parameters frames, retry"),
        (parse_broker, "amqp://h/?heartbeat=3&heartbeat=4", "heartbeat is there 2 times"),
        (parse_broker, "filesystem://host/folder", "absolute path"),
        (parse_broker, "filesystem:///a?b", "%3F"),
        (parse_broker, "amqp://u:pa#ss@h/", "%23"),
        (parse_broker, "amqp://u:1/2@h/", "%2F"),
        (parse_database, "mysql+pymysql://h/n?init_command=x&ssl=1", "unknown parameters init_command, ssl"),
        (parse_database, "mysql+pymysql://h/n?ssl_check_hostname=maybe", "true or false"),
        (parse_database, "postgresql+psycopg://u:a@h/n?password=b", "password is there twice"),
        (parse_database, "mysql+pymysql://u:p@h/", "no name of a database"),
        (parse_database, "mysql+pymysql://h/n?charset=latin1", "charset is utf8mb4"),
        (parse_database, "postgresql+psycopg://h/n?sslmode=on", "sslmode is disable or"),
        (parse_database, "postgresql+psycopg://h/n?target_session_attrs=standby", "any or read-write or primary"),
        (parse_database, "postgresql+psycopg://h/n?keepalives_idle=1m", "keepalives_idle is a whole number"),
        (parse_database, "postgresql+psycopg://h/n?port=1,2", "2 ports for 1 servers"),
        (parse_database, "postgresql+psycopg://us%00er@h/n", "without NUL"),
        (parse_database, "postgresql+psycopg://h/n?password=a%00b", "without NUL"),
        (parse_database, "mysql+pymysql://h/n%00x", "without NUL"),
        (parse_broker, "amqp://u:p%00w@h/", "without NUL"),
        (parse_broker, "amqp://h/?ssl=true", "unknown parameter ssl"),
        (parse_broker, "amqp://u:p@[::1]x:5/", "a name or an address"),
        (parse_broker, "amqp://u:p@x[::1]/", "a name or an address"),
        (parse_broker, "amqp://u:p@[v1.x]/", "a name or an address"),
        (parse_broker, "amqp://u:p@%2Ftmp/", "a name or an address"),
        (parse_broker, "amqp://u:%ff@h/", "%… of UTF-8"),
        (parse_broker, f"amqp://h/{'ä' * 128}", "up to 255 bytes"),
        (parse_database, "mysql+pymysql://%2Ftmp/n", "a name or an address"),
        (parse_database, "mysql+pymysql://h/%fe", "%… of UTF-8"),
        (parse_database, "postgresql+psycopg:///n?port=99999", "port is a number from 1 to 65535"),
        (parse_database, "postgresql+psycopg:///n?host=a,b&port=1,x", "port is a number from 1 to 65535"),
        (parse_database, "postgresql+psycopg://h/n?hostaddr=name", "hostaddr is an IP address"),
        (parse_broker, "amqp://h/?heartbeat=abc", "heartbeat is a whole number of seconds"),
        (parse_database, "sqlite://", "which all services share"),
        (parse_database, "sqlite:///:memory:", "which all services share"),
        (parse_database, "sqlite:///file?mode=ro", "%3F"),
        (parse_database, "postgres://h/n", "postgresql+psycopg"),
        (parse_target, "s3:/bucket", "s3://bucket/prefix"),
        (parse_target, "s3:bucket/prefix", "s3://bucket/prefix"),
        (parse_target, "S3:bucket", "s3://bucket/prefix"),
        (parse_target, "file:images", "s3://bucket/prefix"),
        (parse_target, "s3://bucket/../x", "s3://bucket/prefix"),
        (parse_target, "s3://bucket/a?versionId=1", "s3://bucket/prefix"),
        (parse_api_url, "http://host/?token=x", "OAT_API_TOKEN"),
        (parse_api_url, "ftp://host/", "OAT_API_TOKEN"),
        (parse_api_url, "host:8080", "OAT_API_TOKEN"),
    ],
)
def test_what_cannot_be_used_is_named(call, url, complaint):
    with pytest.raises(SettingsError) as caught:
        call(url)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [f"http://u:{MARK}@h", f"x/?password={MARK}", f"is u:{MARK}@h", f"x='u:{MARK}@h'"]
)
def test_what_a_message_repeats_is_shown_without_the_password(given):
    assert MARK not in redact_urls(given)


@pytest.mark.parametrize(
    "name", ["amqp://guest:***@h:5672//", "postgresql+psycopg://***@h/n", "/a:b@c/x", "at 10:20: a@b"]
)
def test_what_has_no_password_is_shown_as_it_is(name):
    assert redact_urls(f"the broker {name} refuses") == f"the broker {name} refuses"


def test_options_of_a_url_win_over_ours():
    address = parse_database(
        "postgresql+psycopg://h/n?connect_timeout=3&options=-c%20work_mem%3D1MB&sslmode=require"
    )
    merged = address.merge({"connect_timeout": 10, "options": "-c lock_timeout=20s", "keepalives_idle": 10})
    assert merged == {
        "connect_timeout": 3, "options": "-c lock_timeout=20s -c work_mem=1MB", "keepalives_idle": 10,
        "sslmode": "require",
    }  # fmt: skip
    mysql = parse_database("mysql+pymysql://h/n?ssl_ca=/ca.pem&ssl_check_hostname=false")
    assert mysql.options == {"ssl": {"ca": "/ca.pem", "check_hostname": False}}


def test_the_parts_of_a_broker_are_decoded():
    address = parse_broker("amqps://us%40er:p%2Fw@[::1]/v%2Fhost?connection_timeout=7&heartbeat=9")
    assert (address.user, address.password, address.host, address.port) == ("us@er", "p/w", "::1", 5671)
    assert (address.virtual_host, address.connection_timeout, address.heartbeat) == ("v/host", 7, 9)
    assert address.name == "amqps://us%40er:***@[::1]/v/host"


def test_libpq_knows_these_options():
    psycopg = pytest.importorskip("psycopg")
    from oat.addresses.database import POSTGRESQL_OPTIONS  # noqa: PLC0415 (beside what it is compared with)

    known = {option.keyword.decode(): option.dispchar for option in psycopg.pq.Conninfo.get_defaults()}
    assert known.keys() >= POSTGRESQL_OPTIONS
