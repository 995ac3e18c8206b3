-- The key store of the hub: API keys and the policies of domains.
--
-- Safe to run at any time: on an empty database, on the table of the Erlang original (plain keys, one per
-- domain), and again on its own result. No row is lost. What is as it should be is only looked at, so a run
-- that has nothing to do waits for no open transaction. What must be altered waits for less than a second;
-- if that is not enough, or if the hub could not use what is there, an error says why and nothing is changed.
--
-- All of it is one DO block, because one statement is one transaction, and because Neon's HTTP protocol
-- takes one statement a request: psql, Neon's SQL editor and `npm run db:apply` run it alike.
--
-- Keys rest as SHA-256 only. The original's own insert still works: a trigger stores the hash and leaves
-- a short hint in `apikey`.
do $schema$
declare
  -- What is left of a key for people to recognize it by; never enough to use it.
  hint_body constant text := $hint$
    select (case when length(apikey) >= 16 then left(apikey, 4) else '' end) || '…'
  $hint$;
  trigger_body constant text := $trigger$
  declare
    is_hashed boolean := new.apikey_hash is not null;
  begin
    if tg_op = 'UPDATE' then
      if row(new.apikey, new.apikey_hash) is not distinct from row(old.apikey, old.apikey_hash) then
        return new;
      end if;
      is_hashed := is_hashed and new.apikey_hash is distinct from old.apikey_hash;
    end if;
    -- A dump being restored, or a tool that hashes for itself: the hash is there.
    if is_hashed then
      if new.apikey_hash !~ '^[0-9a-f]{64}$' then
        raise exception 'apikey_hash must be a SHA-256 in lower-case hex'
          using errcode = 'check_violation';
      end if;
      if new.apikey is null or new.apikey !~ '^.{0,4}…$' then
        new.apikey := coalesce(apikey_hint(new.apikey), '…');
      end if;
      return new;
    end if;
    if new.apikey is null or new.apikey = '' then
      raise exception 'An API key must not be empty' using errcode = 'not_null_violation';
    end if;
    if new.apikey ~ '^.{0,4}…$' then
      raise exception '"%" is the hint of an API key, not a key', new.apikey
        using errcode = 'check_violation';
    end if;
    new.apikey_hash := encode(sha256(convert_to(new.apikey, 'UTF8')), 'hex');
    new.apikey := apikey_hint(new.apikey);
    return new;
  end
  $trigger$;
  lock_timeout_before constant text := current_setting('lock_timeout');
  home text;
  home_path text;
  had_id boolean;
  item record;
  list text;
  alter_text text;
  sequence_name text;
begin
  -- Two runs at once would trip over each other's work. Nobody waits behind one that waits for the other.
  perform set_config('lock_timeout', '5s', true);
  perform pg_advisory_xact_lock(hashtext('wspubsub schema.sql'));
  -- Whoever waits for a table has all others wait behind. There are two tables, and the hub gives a query two seconds.
  perform set_config('lock_timeout', '900ms', true);

  for item in
    select c.relname, relnamespace::regnamespace as place, case
        when relkind <> 'r' or relpersistence = 't'
          or exists (select from pg_inherits where c.oid in (inhrelid, inhparent))
          then 'is not an ordinary table: rename it'
        when row_security_active(c.oid) then 'has row level security, which hides rows from '
          || current_user || ': alter table ' || relname || ' disable row level security'
      end as fault
    from pg_class c where c.oid in (to_regclass('apikeys'), to_regclass('domains'))
  loop
    if item.fault is not null then
      raise exception '%.% %', item.place, item.relname, item.fault;
    end if;
  end loop;

  if to_regclass('apikeys') is null then
    if current_schema() is null then
      raise exception 'search_path (%) names no schema that is there: create one of them',
        current_setting('search_path');
    end if;
    create table apikeys (
      id serial primary key,
      domain varchar(64) not null,
      username varchar(254),
      apikey varchar(256) not null,
      insert_ts timestamptz default now(),
      active boolean default false
    );
  end if;
  home := (select relnamespace::regnamespace from pg_class where oid = 'apikeys'::regclass);
  if to_regclass('domains') is null then
    execute format('create table %s.domains (domain varchar(64) primary key)', home);
  end if;

  -- Columns: those without a default are the original's, and must be there.
  for item in
    select c.*, to_regclass(tab) as tab_oid, attnum, attgenerated,
      format_type(atttypid, atttypmod) as found,
      -- As it is it serves the hub's queries; what is not a plain text would be equal to others.
      case kind
        when 'varchar' then t.typname in ('text', 'varchar') and coalesce(collisdeterministic, true)
          and (atttypmod = -1 or atttypmod - 4 >= width)
        when 'text' then t.typname in ('text', 'varchar') and atttypmod = -1
        when 'timestamptz' then t.typname = kind or name = 'insert_ts' and t.typname = 'timestamp'
        else t.typname = kind
      end as fits,
      t.typname = any (case kind
        when 'int4' then '{int2,int8}' when 'jsonb' then '{json}' when 'bool' then '{}'
        when 'timestamptz' then '{timestamp,date}'
        else '{text,varchar,bpchar,name,citext,uuid}' end::text[]) as can_change
    from (select *, row_number() over () as nth from (values
      ('apikeys', 'domain', 'varchar', 64, null, null),
      ('apikeys', 'username', 'varchar', 254, '', null),
      ('apikeys', 'apikey', 'varchar', 256, null, 'A hint of the key; inserting a key here hashes it'),
      ('apikeys', 'insert_ts', 'timestamptz', null, ', alter insert_ts set default now()', null),
      ('apikeys', 'active', 'bool', null, null,
        'Only an active key opens a publisher; may be switched on and off'),
      ('apikeys', 'apikey_hash', 'text', null, '', 'Lower-case hex SHA-256 of the key''s UTF-8 bytes'),
      ('apikeys', 'expires_at', 'timestamptz', null, '',
        'From then on the key opens nothing; null: never'),
      ('apikeys', 'revoked_at', 'timestamptz', null, '',
        'Since then the key opens nothing, for good; null: it was not'),
      ('apikeys', 'last_used_at', 'timestamptz', null, '',
        'When the key last opened something, to about a day; null: not known'),

      ('domains', 'domain', 'varchar', 64, null, null),
      ('domains', 'publishers', 'text', null,
        'not null default ''exclusive'' check (publishers in (''exclusive'', ''shared''))',
        'exclusive: one publisher owns a topic; shared: many'),
      ('domains', 'grace_seconds', 'int4', null,
        'not null default 10 check (grace_seconds between 0 and 3600)',
        'How long an exclusive topic outlives its publisher'),
      ('domains', 'history_messages', 'int4', null,
        'not null default 0 check (history_messages between 0 and 100000)',
        'How many messages a topic''s log keeps'),
      ('domains', 'history_seconds', 'int4', null,
        'not null default 0 check (history_seconds between 0 and 2592000)',
        'How long a topic''s log keeps a message'),
      ('domains', 'history_delay_ms', 'int4', null,
        'not null default 55 check (history_delay_ms between 0 and 1000)',
        'How long a message may wait to share a row of the log'),
      ('domains', 'subscribers', 'text', null,
        'not null default ''open'' check (subscribers in (''open'', ''token''))',
        'open: anyone; token: who has a token or a key of the domain'),
      ('domains', 'token_publishers', 'bool', null, 'not null default false',
        'Whether a token may publish, where it says so'),
      ('domains', 'max_message_bytes', 'int4', null,
        'not null default 1048576 check (max_message_bytes between 1 and 33554432)',
        'A larger message closes its publisher'),
      ('domains', 'messages_per_second', 'int4', null, 'check (messages_per_second > 0)',
        'Of one publisher; null sets no limit'),
      ('domains', 'max_backlog_bytes', 'int4', null,
        'not null default 1048576 check (max_backlog_bytes between 1024 and 67108864)',
        'What may wait for a subscriber that does not read'),
      ('domains', 'path_keys', 'bool', null, 'not null default true',
        'Whether a key may stand in the path, where logs see it'),
      ('domains', 'max_publishers', 'int4', null, 'check (max_publishers > 0)',
        'Of one topic at a time; null sets no limit'),
      ('domains', 'max_subscribers', 'int4', null, 'check (max_subscribers > 0)',
        'Of one topic at a time; null sets no limit'),
      ('domains', 'max_topics', 'int4', null,
        'not null default 100000 check (max_topics between 1 and 10000000)',
        'How many topics may be live at a time'),
      ('domains', 'token_issuer', 'text', null, 'check (token_issuer <> '''')',
        'What "iss" of a token must be; null: anything'),
      -- Unlike a key it must be at hand in full: who checks an HMAC could have made it (RFC 2104).
      ('domains', 'token_secret', 'text', null, 'check (length(token_secret) >= 32)',
        'Signs tokens with HS256: its UTF-8 bytes, 32 characters at least'),
      ('domains', 'token_keys', 'jsonb', null,
        'check (token_keys is null or coalesce(jsonb_typeof(token_keys -> ''keys''), '''') = ''array'')',
        'A JWK Set (RFC 7517) of public keys that sign tokens: P-256 (ES256), Ed25519 (EdDSA)'),
      -- While a secret is replaced there are two.
      ('domains', 'token_secret_expires_at', 'timestamptz', null, '',
        'From then on it signs nothing; null: never'),
      ('domains', 'token_secret_previous', 'text', null,
        'check (length(token_secret_previous) >= 32)',
        'Signs beside token_secret, which has replaced it'),
      ('domains', 'token_secret_previous_expires_at', 'timestamptz', null, '',
        'From then on it signs nothing; null: never')
    ) as v (tab, name, kind, width, definition, note)) as c
    left join pg_attribute a
      on attrelid = to_regclass(tab) and attname = name and not attisdropped
    -- Of a domain (a named type with checks) what it is made of.
    left join pg_type b on b.oid = atttypid
    left join pg_type t on t.oid = coalesce(nullif(b.typbasetype, 0), b.oid)
    left join pg_collation l on l.oid = attcollation
    order by nth
  loop
    list := concat(item.kind, '(' || item.width || ')');
    if item.attnum is null then
      if item.definition is null then
        raise exception '% has no column %: rename the table, if it is not the hub''s, or add the column (%)',
          item.tab_oid, item.name, list;
      end if;
      execute format('alter table %s add column %I %s %s', item.tab_oid, item.name, list, item.definition);
    elsif item.attgenerated <> '' then
      raise exception '%.% is a generated column, and the hub must write it: alter table % alter % drop expression',
        item.tab_oid, item.name, item.tab_oid, item.name;
    elsif not item.fits then
      if not item.can_change then
        raise exception '%.% is of type %, and the hub needs %: alter table % %', item.tab_oid, item.name,
          item.found, list, item.tab_oid, case when item.definition is null
            then format('alter %I type %s using …', item.name, list)
            else format('rename %I to %I', item.name, 'other_' || item.name) end;
      end if;
      -- A cast to varchar(64) would cut off what is longer; this one refuses it.
      execute format('alter table %1$s alter %2$I type %3$s %4$s using %2$I::%5$s', item.tab_oid, item.name,
        list, case when item.kind in ('text', 'varchar') then 'collate "default"' end,
        replace(item.kind, 'varchar', 'text'));
    end if;
    if col_description(item.tab_oid, item.attnum) is distinct from item.note and item.note is not null then
      execute format('comment on column %s.%I is %L', item.tab_oid, item.name, item.note);
    end if;
  end loop;

  -- Whatever else a row of a key must have, nobody gives it.
  alter_text := null;
  select string_agg(case attname
        when 'username' then 'alter username drop not null'
        when 'insert_ts' then 'alter insert_ts set default now()'
        else 'alter active set default false' end, ', ')
      filter (where attname in ('username', 'insert_ts', 'active')),
      string_agg(quote_ident(attname), ', ') filter (where attname not in ('username', 'insert_ts', 'active'))
    into alter_text, list
    from pg_attribute
    where attrelid = 'apikeys'::regclass and attnum > 0 and not attisdropped and attnotnull
      and (not atthasdef or attname = 'username') and attidentity = '' and attname not in ('id', 'domain', 'apikey', 'apikey_hash');
  if list is not null then
    raise exception 'apikeys needs a value for %, which the hub does not give', list
      using hint = 'Give each a default, or allow null there: alter table apikeys alter COLUMN drop not null';
  end if;
  if alter_text is not null then
    execute 'alter table apikeys ' || alter_text;
  end if;

  -- The number of a key: the hub takes what Postgres's serial gives.
  select typname, attidentity <> '' or atthasdef as is_given, format_type(a.atttypid, null) as found,
      attgenerated <> '' as is_generated into item
    from pg_attribute a join pg_type t on t.oid = atttypid
    where attrelid = 'apikeys'::regclass and attname = 'id' and not attisdropped;
  had_id := found;
  if not had_id then
    alter table apikeys add column id serial;
  elsif item.typname not in ('int4', 'int2', 'int8') or item.is_generated then
    raise exception 'apikeys.id is %, and the hub needs an integer: alter table apikeys rename id to other_id',
        case when item.is_generated then 'generated' else 'of type ' || item.found end
      using hint = 'Run schema.sql again then: it adds an id of its own';
  else
    select string_agg(distinct id::text, ', ') into list from (
      select id from apikeys where id not between 1 and 2147483647
      union all select id from apikeys where id is not null group by id having count(*) > 1 limit 5) k;
    if list is not null then
      raise exception 'apikeys.id must number each key, from 1 to 2147483647. These do not: %', list
        using hint = 'Give those rows numbers of their own, and run schema.sql again';
    end if;
    if item.typname <> 'int4' then
      alter table apikeys alter id type integer;
    end if;
    if not item.is_given then
      update apikeys k set id = n.id from (
          select k.ctid, row_number() over () + (select coalesce(max(id), 0) from apikeys) as id
          from apikeys k where id is null) n
        where k.ctid = n.ctid;
      alter table apikeys alter id set not null, alter id add generated by default as identity;
      perform setval(pg_get_serial_sequence('apikeys', 'id'), coalesce(max(id), 0) + 1, false) from apikeys;
    end if;
  end if;
  -- Rows that came with numbers of their own, as by a copy, have not moved it on.
  sequence_name := pg_get_serial_sequence('apikeys', 'id');
  if sequence_name is not null then
    execute format('select setval(%L, max(id)) from apikeys having max(id) > (select last_value from %s)',
      sequence_name, sequence_name);
  end if;

  -- From the original: one key for a domain. Now there are several, so that they rotate, and of each a hint is
  -- left, which may be another's, too. Whatever would forbid that goes.
  for item in
    select i.indexrelid::regclass as index_name, c.conname, f.conname as needed_by, f.conrelid::regclass as needed_in
    from pg_index i
    left join pg_constraint c on c.conindid = indexrelid and c.conrelid = indrelid and c.contype in ('p', 'u', 'x')
    left join pg_constraint f on f.conindid = indexrelid and f.confrelid = indrelid and f.contype = 'f'
    where indrelid = 'apikeys'::regclass and (indisunique or indisexclusion) and not exists (
      select from pg_attribute a
      where attrelid = indrelid and attname not in ('domain', 'username', 'apikey', 'insert_ts', 'active')
        and (attnum = any ((indkey::int2[])[0:indnkeyatts - 1]) or indexprs is not null and exists (
          select from pg_depend where classid = 'pg_class'::regclass and objid = indexrelid
            and refobjid = indrelid and refobjsubid = attnum)))
  loop
    if item.needed_by is not null then
      raise exception 'A domain has several keys, but the foreign key % of % needs % of apikeys: drop the foreign key',
        item.needed_by, item.needed_in, item.index_name;
    elsif item.conname is not null then
      execute format('alter table apikeys drop constraint %I', item.conname);
    else
      execute format('drop index %s', item.index_name);
    end if;
  end loop;

  select string_agg(quote_ident(conname), ', ') into list from pg_constraint
    where conrelid = 'apikeys'::regclass and contype = 'c' and conkey @> array(
      select attnum from pg_attribute where attrelid = conrelid and attname = 'apikey');
  if list is not null then
    raise exception 'apikeys.apikey keeps a hint of the key, which its check may forbid: %',
      'alter table apikeys drop constraint ' || list;
  end if;

  -- The schema's own search path, because a dump is restored with an empty one.
  home_path := 'search_path=' || home;
  if not exists (
    select from pg_proc where oid = to_regprocedure(home || '.apikey_hint(text)') and prosrc = hint_body
  ) then
    execute format('create or replace function %s.apikey_hint(apikey text) returns text
      language sql immutable strict as %L', home, hint_body);
  end if;
  if not exists (
    select from pg_proc where oid = to_regprocedure(home || '.apikeys_hash_key()')
      and prosrc = trigger_body and proconfig = array[home_path]
  ) then
    execute format('create or replace function %s.apikeys_hash_key() returns trigger
      language plpgsql set %s as %L', home, home_path, trigger_body);
  end if;

  select string_agg(concat(case when had_id then id || ' of ' end, quote_ident(domain)), ', ') into list from (
    select id, domain from apikeys where apikey_hash is null and apikey ~ '^.{0,4}…$' limit 5) k;
  if list is not null then
    raise exception 'A row of apikeys has the hint of a key and no hash: %', list
      using hint = 'Delete it, or restore its hash';
  end if;

  -- Whoever looks for a key by its hash must find one row. What is listed is never the key.
  if exists (select from apikeys where apikey_hash is null and apikey <> '') or not exists (
    select from pg_index where indrelid = 'apikeys'::regclass and indisunique and indisvalid and indimmediate
      and indpred is null and indnkeyatts = 1 and indkey[0] = (
        select attnum from pg_attribute where attrelid = indrelid and attname = 'apikey_hash')
  ) then
    select string_agg(same.rows, '; ') into list from (
      select min(hint) || ' in ' || string_agg(
          concat(case when had_id then 'row ' || id || ' of ' end, quote_ident(domain)), ', ')
          || case when max(copies) > 5 then ' and ' || max(copies) - 5 || ' more' else '' end as rows
      from (
        select id, domain, hash, count(*) over (partition by hash) as copies,
          row_number() over (partition by hash order by id) as nth,
          case when apikey ~ '^.{0,4}…$' then apikey
            when length(apikey) >= 16 then left(apikey, 4) || '…' else '…' end as hint
        from apikeys, lateral (select
          coalesce(apikey_hash, encode(sha256(convert_to(nullif(apikey, ''), 'UTF8')), 'hex')) as hash) made
      ) k
      where hash is not null and copies > 1 and nth <= 5 group by hash order by min(id) limit 5
    ) same;
    if list is not null then
      raise exception 'A key opens one domain, but apikeys has the same key in several rows: %', list
        using hint = 'Delete all but one of each, and run schema.sql again';
    end if;
  end if;

  -- The original's plain keys. Not an update, which would leave them in dead rows until a vacuum: a change
  -- of type writes the table anew, and what it reads is each row as it was. A row without a key stays
  -- without a hash: it opens nothing, as before.
  if exists (select from apikeys where apikey_hash is null and apikey <> '') then
    execute format('alter table apikeys
      alter column apikey_hash type text using
        coalesce(apikey_hash, encode(sha256(convert_to(nullif(apikey, ''''), ''UTF8'')), ''hex'')),
      alter column apikey type varchar(256) using
        case when apikey_hash is null and apikey <> '''' then %s.apikey_hint(apikey) else apikey end', home);
  end if;

  if not exists (
    -- A row's, before insert or update, without columns or a condition; not switched off.
    select from pg_trigger where tgrelid = 'apikeys'::regclass and tgname = 'apikeys_hash_key' and tgtype = 23
      and tgfoid = to_regprocedure(home || '.apikeys_hash_key()') and tgenabled in ('O', 'A')
      and tgqual is null and tgattr = ''
  ) then
    drop trigger if exists apikeys_hash_key on apikeys;
    execute format('create trigger apikeys_hash_key before insert or update on apikeys
      for each row execute function %s.apikeys_hash_key()', home);
  end if;

  -- Uniqueness that is looked at later is of no use to "on conflict", and forbids it even beside a better one.
  for item in
    select conrelid::regclass as tab, conname from pg_constraint
    where conrelid in ('apikeys'::regclass, 'domains'::regclass) and contype in ('p', 'u') and condeferrable
      and cardinality(conkey) = 1
  loop
    execute format('alter table %s drop constraint %I', item.tab, item.conname);
  end loop;

  -- Each serves a query of the hub's: where apikey_hash = $1 and domain = $2, where id = any ($1), domains by name.
  for item in
    select tab, name from (values
      ('apikeys', 'id'), ('apikeys', 'apikey_hash'), ('domains', 'domain')) as c (tab, name)
    where not exists (
      select from pg_index where indrelid = to_regclass(tab) and indisunique and indisvalid and indimmediate
        and indpred is null and indnkeyatts = 1 and indkey[0] = (
          select attnum from pg_attribute where attrelid = indrelid and attname = name))
  loop
    execute format('alter table %s add %s (%I)', item.tab, case
      when item.name = 'apikey_hash' or exists (
        select from pg_index where indrelid = to_regclass(item.tab) and indisprimary)
      then 'unique' else 'primary key' end, item.name);
  end loop;

  -- Serves the question whether anybody knows a domain. Not unique: keys rotate.
  if not exists (
    select from pg_index i join pg_class c on c.oid = indexrelid join pg_am m on m.oid = relam
      join pg_attribute a on a.attrelid = indrelid and attnum = indkey[0]
      where indrelid = 'apikeys'::regclass and indisvalid and indpred is null and amname in ('btree', 'hash')
        and attname = 'domain' and indcollation[0] = attcollation
  ) then
    create index on apikeys (domain);
  end if;

  for item in
    select * from (values
      ('apikeys', 'Who may publish: several keys a domain, each locked to it'),
      ('domains', 'What a domain allows; a domain without a row has the defaults')) as c (tab, note)
    where obj_description(to_regclass(tab), 'pg_class') is distinct from note
  loop
    execute format('comment on table %s is %L', item.tab, item.note);
  end loop;

  perform set_config('lock_timeout', lock_timeout_before, true);
exception
  when lock_not_available then
    select string_agg(concat(coalesce('session ' || k.pid || ' of ' || usename, 'a prepared transaction'),
        ' (' || nullif(application_name, '') || ')', ', ' || state, ', since ' || xact_start::timestamptz(0)), '; ')
      into list
      from (select distinct pid from pg_locks where granted
        and database = (select oid from pg_database where datname = current_database())
        and (locktype = 'relation' and relation in (to_regclass('apikeys'), to_regclass('domains'))
          or locktype = 'advisory' and objid::int8 = hashtext('wspubsub schema.sql')::int8 & 4294967295)
        and pid is distinct from pg_backend_pid() limit 5) k
      left join pg_stat_activity a on a.pid = k.pid;
    raise exception 'The tables are in use, and nothing was changed. They are held by %',
        coalesce(list, 'nobody any more')
      using errcode = 'lock_not_available',
        hint = 'Run schema.sql again when that has ended; select pg_terminate_backend(NUMBER) ends a session';
  when unique_violation then
    get stacked diagnostics list = pg_exception_detail;
    raise exception 'Nothing was changed: %: %', sqlerrm, list;
  when feature_not_supported or dependent_objects_still_exist then
    get stacked diagnostics list = pg_exception_detail;
    raise exception 'Nothing was changed: %', concat_ws(': ', sqlerrm, nullif(list, ''))
      using hint = 'Drop what depends on it, run schema.sql, and make it again';
end
$schema$;
