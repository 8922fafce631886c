"""What the catalogues and the tables of a database say of the extension, in a form to compare.

Two databases agree when `definitions` are equal; nothing in them depends on numbers of objects or on
the order in which things were made. `contents` adds the rows and the states of sequences.
"""

# The statements are put together from the constants of this module alone.
# ruff: noqa: S608

from typing import Any

from psycopg import sql

from support.cluster import Database

_ACL = """(SELECT string_agg(said, ', ' ORDER BY said) FROM (
               SELECT concat_ws(' ', coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'),
                                a.privilege_type, a.is_grantable) AS said
               FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) AS a) AS a)"""
_SCHEMAS = "('outbound'::regnamespace, 'outbound_list'::regnamespace)"


def _acl(acl: str, kind: str, owner: str) -> str:
    return _ACL.format(acl=acl, kind=kind, owner=owner)


#: Each answers (name, everything that can be said about it).
_QUESTIONS = {
    "schema": f"""
        SELECT nspname, concat_ws(' | ', obj_description(oid, 'pg_namespace'),
            {_acl("nspacl", "n", "nspowner")})
        FROM pg_namespace WHERE oid IN {_SCHEMAS}""",
    "relation": f"""
        SELECT oid::regclass, concat_ws(' | ', relkind, relpersistence, relowner::regrole, reloptions,
            relrowsecurity, {_acl("relacl", "r", "relowner")}, obj_description(oid, 'pg_class'),
            CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) WHEN 'i' THEN pg_get_indexdef(oid) END,
            (SELECT string_agg(inhparent::regclass::text, ' ') FROM pg_inherits WHERE inhrelid = c.oid))
        FROM pg_class AS c WHERE relnamespace IN {_SCHEMAS} AND relkind <> 'c'""",
    "column": f"""
        SELECT format('%s.%s', attrelid::regclass, attname), concat_ws(' | ',
            format_type(atttypid, atttypmod), attnotnull, attidentity,
            pg_get_expr(adbin, adrelid), attacl, col_description(attrelid, attnum))
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        JOIN pg_class AS c ON c.oid = attrelid
        WHERE relnamespace IN {_SCHEMAS} AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped""",
    "constraint": f"""
        SELECT format('%s.%s', conrelid::regclass, conname),
            concat_ws(' | ', pg_get_constraintdef(oid), convalidated)
        FROM pg_constraint WHERE connamespace IN {_SCHEMAS}""",
    "function": f"""
        SELECT oid::regprocedure, concat_ws(' | ', pg_get_functiondef(oid), proowner::regrole,
            {_acl("proacl", "f", "proowner")}, obj_description(oid, 'pg_proc'))
        FROM pg_proc WHERE pronamespace IN {_SCHEMAS}""",
    "type": f"""
        SELECT oid::regtype, concat_ws(' | ', {_acl("typacl", "T", "typowner")},
            obj_description(oid, 'pg_type'),
            (SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
        FROM pg_type AS t WHERE typnamespace IN {_SCHEMAS} AND typtype = 'e'""",
    "trigger": f"""
        SELECT format('%s.%s', tgrelid::regclass, tgname), pg_get_triggerdef(t.oid)
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
        WHERE relnamespace IN {_SCHEMAS} AND NOT tgisinternal""",
    "member": """
        SELECT pg_describe_object(classid, objid, objsubid), 'of the extension' FROM pg_depend
        WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_outbound')""",
    "dumped": """
        SELECT c::regclass, coalesce(extcondition[place], '')
        FROM pg_extension, unnest(extconfig) WITH ORDINALITY AS u (c, place)
        WHERE extname = 'pg_outbound'""",
}


def definitions(database: Database) -> dict[str, str]:
    """Return everything that is defined in the schemas of the extension, by kind and name."""
    found: dict[str, str] = {}
    with database.connect() as connection:
        connection.execute("SET search_path = pg_catalog")
        for kind, question in _QUESTIONS.items():
            wrapped = f"SELECT q.name::text, q.said FROM ({question}) AS q (name, said)"
            for name, said in connection.execute(wrapped.encode()):
                found[f"{kind} {name}"] = said
    return found


def tables(database: Database, kind: str = "r") -> list[tuple[str, str]]:
    """Return schema and name of every table (or `kind`) in the schemas of the extension."""
    return database.query(
        "SELECT relnamespace::regnamespace::text, relname::text FROM pg_class "
        f"WHERE relnamespace IN {_SCHEMAS} AND relkind = %s ORDER BY 1, 2",
        kind,
    )


def rows(database: Database) -> dict[str, list[Any]]:
    """Return the rows of every table, as text and in one order; what is undone leaves all as it was."""
    found: dict[str, list[Any]] = {}
    with database.connect() as connection:
        for schema, name in tables(database):
            query = sql.SQL("SELECT t::text FROM ONLY {} AS t ORDER BY 1").format(
                sql.Identifier(schema, name)
            )
            found[f"{schema}.{name}"] = [line for (line,) in connection.execute(query)]
    return found


def contents(database: Database) -> dict[str, list[Any]]:
    """Return `rows` and the state of every sequence; what is rolled back advances sequences all the same."""
    found = rows(database)
    with database.connect() as connection:
        for schema, name in tables(database, "S"):
            query = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
            found[f"{schema}.{name}"] = connection.execute(query).fetchall()
    return found
