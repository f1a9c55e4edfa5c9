"""What a schema consists of, by PostgreSQL's catalogs, and what of it an older program would miss or run into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_COLUMNS = """
SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
       a.attnotnull AND pg_get_expr(d.adbin, d.adrelid) IS NULL AND a.attidentity = '' AND a.attgenerated = ''
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0
   AND NOT a.attisdropped"""
_RULES = """
SELECT 'constraint ' || conname || ' on ' || conrelid::regclass, pg_get_constraintdef(oid),
       conrelid::regclass::text,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
UNION ALL
SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass, pg_get_triggerdef(oid), tgrelid::regclass::text, '{}'
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'index ' || indexrelid::regclass || ' on ' || indrelid::regclass,
       CASE WHEN indisunique THEN pg_get_indexdef(indexrelid) ELSE '' END, indrelid::regclass::text,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey))
  FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'function ' || proname, prosrc, '', '{}' FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""


@dataclass(frozen=True)
class Rule:
    """A constraint, trigger, index or function; an index that refuses nothing has no text."""

    text: str
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """Columns with their type and whether a row must give them; rules by their name."""

    columns: dict[str, tuple[str, bool]]
    rules: dict[str, Rule]

    @property
    def tables(self) -> set[str]:
        return {name.partition(".")[0] for name in self.columns}


def read(conn: psycopg.Connection[tuple[Any, ...]]) -> Catalog:
    return Catalog(
        columns={name: (kind, needed) for name, kind, needed in conn.execute(_COLUMNS)},
        rules={name: Rule(text, table, tuple(of)) for name, text, table, of in conn.execute(_RULES)},
    )


def clashes(before: Catalog, after: Catalog) -> set[str]:
    """What a program made for `before` would miss in `after`, or run into: nothing where it was only added to."""
    found = set()
    for name, (kind, needed) in before.columns.items():
        if name not in after.columns:
            found.add(f"column {name} is gone")
        elif after.columns[name][0] != kind:
            found.add(f"column {name} has another type")
        elif after.columns[name][1] and not needed:
            found.add(f"column {name} must be given")
    new = after.columns.keys() - before.columns.keys()
    for name in new:
        if name.partition(".")[0] in before.tables and after.columns[name][1]:
            found.add(f"column {name} must be given")
    for name, rule in before.rules.items():
        if name not in after.rules:
            found.add(f"{name} is gone")
        elif after.rules[name] != rule:
            found.add(f"{name} is another one")
    for name in after.rules.keys() - before.rules.keys():
        rule = after.rules[name]
        of_new_columns = rule.columns and {f"{rule.table}.{column}" for column in rule.columns} <= new
        if rule.text and rule.table in before.tables and not of_new_columns:
            found.add(f"{name} is new")
    return found
