"""Resource classes: config in fields, made ready as copies, frozen, and silent about secrets."""

import enum
import traceback

import pydantic
import pytest

import atoll as dg
from atoll._definitions import raised

SECRET = "hunter2-very-secret"


class Variable(str):
    """Stands for an `EnvVar`: a string that promises `get_value`."""

    __slots__ = ()

    def get_value(self, default=None):
        return {"PORT": "5432", "WORD": SECRET}.get(str(self), default)

    def __repr__(self):
        return f"EnvVar({str(self)!r})"


class Warehouse(dg.ConfigurableResource):
    """Where rows are."""

    host: str
    port: int = 1
    _log: list[str] = pydantic.PrivateAttr(default_factory=list)

    def setup_for_execution(self, context):
        self._log.append(f"set up on {self.host}:{self.port}")

    def url(self):
        return f"{self.host}:{self.port}"


class Loader(dg.ConfigurableResource):
    warehouse: Warehouse
    batch: int = 10


def test_a_resource_is_used_directly_in_a_test():
    assert Warehouse(host="h").url() == "h:1"
    assert Loader(warehouse=Warehouse(host="h")).warehouse.url() == "h:1"


def test_being_made_ready_changes_a_copy_only():
    written = Warehouse(host="h", port=2)
    first, second = (written.process_config_and_initialize() for _ in range(2))
    assert first._log == second._log == ["set up on h:2"]
    assert written._log == []


def test_being_made_ready_makes_a_resource_no_other():
    class Plain(dg.ConfigurableResource):
        size: int = 1

    assert Plain().process_config_and_initialize() == Plain()
    assert Plain(size=2) != Plain()


def test_fields_are_validated_and_frozen():
    with pytest.raises(pydantic.ValidationError, match="valid integer"):
        Warehouse(host="h", port="many")
    with pytest.raises(pydantic.ValidationError, match="not permitted"):
        Warehouse(host="h", prot=1)
    with pytest.raises(dg.InvalidInvocationError, match=r"'port' of Warehouse.*PrivateAttr"):
        Warehouse(host="h").port = 3


def test_the_environment_is_read_only_when_the_resource_is_made_ready():
    written = Warehouse(host="h", port=Variable("PORT"))
    assert written.port == "PORT"
    assert written.process_config_and_initialize().port == 5432


def test_a_variable_as_a_default_is_read_too():
    class Defaulting(dg.ConfigurableResource):
        port: int = Variable("PORT")

    assert Defaulting().process_config_and_initialize().port == 5432
    assert Defaulting().to_run_config() == {"port": {"env": "PORT"}}
    partial = Defaulting.configure_at_launch()
    with dg.build_resources({"made": partial}) as resources:
        assert resources.made.port == 5432
        assert "5432" not in repr(resources.made)
    described = partial.get_resource_definition().config_field.json_schema({})
    assert "default" not in described["properties"]["port"]
    assert described["required"] == []


def test_variables_inside_lists_and_dicts_are_read():
    class Deep(dg.ConfigurableResource):
        hosts: list[str]
        ports: dict[str, int]

    ready = Deep(hosts=["a", Variable("WORD")], ports={"db": Variable("PORT")})
    made = ready.process_config_and_initialize()
    assert made.hosts == ["a", SECRET]
    assert made.ports == {"db": 5432}
    assert SECRET not in repr(made)


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(dg.InvalidConfigError, match="'NOPE' is not set"):
        Warehouse(host=Variable("NOPE")).process_config_and_initialize()


def test_what_the_environment_holds_is_never_shown():
    ready = Warehouse(host=Variable("WORD")).process_config_and_initialize()
    assert ready.url() == f"{SECRET}:1"
    for shown in (repr(ready), str(ready), str(ready.to_run_config())):
        assert SECRET not in shown
        assert "WORD" in shown
    assert SECRET not in str(ready.get_resource_context().resource_config)


@pytest.mark.parametrize("complaint", ["the host {} is odd", "odd"])
def test_errors_about_the_environment_never_show_it(complaint):
    class Picky(dg.ConfigurableResource):
        host: str
        port: int

        @pydantic.field_validator("host")
        @classmethod
        def refuse(cls, host):
            raise ValueError(complaint.format(host))

    picky = Picky(host=Variable("WORD"), port=Variable("WORD"))
    with pytest.raises(dg.InvalidConfigError, match="cannot be made ready") as caught:
        picky.process_config_and_initialize()
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert "WORD" in told
    assert SECRET not in repr(raised.describe(caught.value))


def test_validators_of_users_see_values_and_no_stand_ins():
    seen = []

    class Watched(dg.ConfigurableResource):
        port: int

        @pydantic.field_validator("port")
        @classmethod
        def watch(cls, port):
            seen.append(port)
            return port

    written = Watched(port=Variable("PORT"))
    assert seen == []
    written.process_config_and_initialize()
    assert seen == [5432]


def test_values_given_in_code_are_not_validated_a_second_time():
    class Growing(dg.ConfigurableResource):
        name: str

        @pydantic.field_validator("name")
        @classmethod
        def grow(cls, name):
            return f"{name}!"

    assert Growing(name="a").process_config_and_initialize().name == "a!"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Leveled(dg.ConfigurableResource):
    level: Level
    inner: Warehouse = Warehouse(host="default")


def test_run_config_takes_resource_objects():
    config = dg.RunConfig(
        resources={
            "leveled": Leveled(level=Level.HIGH),
            "warehouse": Warehouse(host=Variable("WORD")),
        }
    )
    assert config.to_config_dict()["resources"] == {
        "leveled": {"config": {"level": "HIGH"}},
        "warehouse": {"config": {"host": {"env": "WORD"}, "port": 1}},
    }


def _schema(resource):
    field = resource.get_resource_definition().config_field
    return field, field.json_schema({})


def test_config_is_described_without_what_the_code_gives():
    field, schema = _schema(Warehouse(host=SECRET, port=5))
    assert not field.is_required
    assert schema["required"] == []
    assert set(schema["properties"]) == {"host", "port"}
    assert SECRET not in str(schema)
    assert schema["properties"]["port"].get("default") is None


def test_what_is_left_to_the_launch_is_required():
    field, schema = _schema(Loader.configure_at_launch(warehouse=Warehouse(host="h")))
    assert not field.is_required
    assert set(schema["properties"]) == {"batch"}
    field, schema = _schema(Warehouse.configure_at_launch(port=3))
    assert field.is_required
    assert schema["required"] == ["host"]
    assert field.resolve({"host": "h"}, ("here",)) == {"host": "h"}
    with pytest.raises(dg.InvalidConfigError, match="here/host"):
        field.resolve({}, ("here",))
    with pytest.raises(dg.InvalidConfigError, match="here/hots"):
        field.resolve({"host": "h", "hots": "x"}, ("here",))


def test_a_field_that_is_not_there_cannot_be_left_to_the_launch():
    with pytest.raises(dg.InvalidDefinitionError, match="no field 'hots'; its fields are host"):
        Warehouse.configure_at_launch(hots="x")


class Client:
    def __init__(self, url):
        self.url = url


class ClientFactory(dg.ConfigurableResourceFactory[Client]):
    url: str

    def create_resource(self, context):
        return Client(self.url)


class Using(dg.ConfigurableResource):
    client: dg.ResourceDependency[Client]


def test_a_factory_gives_another_object():
    made = ClientFactory(url="u").process_config_and_initialize()
    assert isinstance(made, Client)
    using = Using(client=ClientFactory(url="u")).process_config_and_initialize()
    assert using.client.url == "u"


def test_a_dependency_takes_plain_objects_and_definitions():
    plain = Client("plain")
    assert Using(client=plain).process_config_and_initialize().client is plain
    made = dg.ResourceDefinition.hardcoded_resource(plain)
    assert Using(client=made).process_config_and_initialize().client is plain


def test_what_has_to_be_closed_is_used_in_a_with():
    told = []

    @dg.resource
    def client():
        told.append("open")
        yield Client("u")
        told.append("closed")

    using = Using(client=client)
    with pytest.raises(dg.InvalidInvocationError, match="_cm"):
        using.process_config_and_initialize()
    told.clear()
    with using.process_config_and_initialize_cm() as ready:
        assert ready.client.url == "u"
        assert told == ["open"]
    assert told == ["open", "closed"]


def test_a_resource_function_makes_a_resource_class_of_its_config():
    @dg.resource(config_schema={"host": str})
    def warehouse(context):
        return Warehouse.from_resource_context(context)

    with dg.build_resources(
        {"warehouse": warehouse}, resource_config={"warehouse": {"config": {"host": "h"}}}
    ) as resources:
        assert resources.warehouse._log == ["set up on h:1"]


def test_the_context_is_there_once_the_resource_is_ready():
    with pytest.raises(dg.InvariantViolationError, match="no context"):
        Warehouse(host="h").get_resource_context()
    context = dg.build_init_resource_context()
    assert Warehouse(host="h").with_replaced_resource_context(context).get_resource_context()


def test_a_class_is_not_given_in_place_of_an_object():
    with (
        pytest.raises(dg.InvalidDefinitionError, match=r"Warehouse\(\.\.\.\)"),
        dg.build_resources({"warehouse": Warehouse}),
    ):
        pass


class Pretender:
    """What a mock with a spec does: it says that it is of another class."""

    @property
    def __class__(self):
        return Warehouse

    def rows(self):
        return 3


def test_what_only_says_that_it_is_a_resource_is_taken_as_it_is():
    @dg.asset
    def counted(warehouse: Warehouse) -> int:
        return warehouse.rows()

    pretender = Pretender()
    assert isinstance(pretender, Warehouse)
    assert dg.materialize([counted], resources={"warehouse": pretender}).asset_value("counted") == 3
