-- The key store of the hub: API keys and the policies of domains.
--
-- Safe to run at any time: on an empty database, on the table of the Erlang original (plain keys, one per
-- domain), and again on its own result. No row is lost.
--
-- All of it is one DO block, because one statement is one transaction, and because Neon's HTTP protocol
-- takes one statement a request: psql, Neon's SQL editor and `npm run db:apply` run it alike.
--
-- Keys rest as SHA-256 only. The original's own insert still works: a trigger stores the hash and leaves
-- a short hint in `apikey`.
do $schema$
declare
  obsolete record;
begin
  -- Two runs at once would trip over each other's `if not exists`.
  perform pg_advisory_xact_lock(hashtext('wspubsub schema.sql'));

  create table if not exists apikeys (
    id serial primary key,
    domain varchar(64) not null,
    username varchar(254),
    apikey varchar(256) not null,
    insert_ts timestamptz default now(),
    active boolean default false
  );

  -- From the original: longer keys than a UUID, and several of them for a domain, so that they rotate.
  if exists (
    select from pg_attribute
    where attrelid = 'apikeys'::regclass and attname = 'apikey' and atttypmod between 0 and 259
  ) then
    alter table apikeys alter column apikey type varchar(256);
  end if;
  alter table apikeys add column if not exists apikey_hash text;
  alter table apikeys add column if not exists expires_at timestamptz;
  alter table apikeys add column if not exists revoked_at timestamptz;
  alter table apikeys add column if not exists last_used_at timestamptz;

  for obsolete in
    select i.indexrelid::regclass as index_name, c.conname
    from pg_index i
    left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid
      and c.contype = 'u'
    where i.indrelid = 'apikeys'::regclass
      and i.indisunique
      and not i.indisprimary
      and i.indnkeyatts = 1
      and i.indkey[0] in (
        select attnum from pg_attribute
        where attrelid = 'apikeys'::regclass and attname in ('domain', 'apikey')
      )
  loop
    if obsolete.conname is not null then
      execute format('alter table apikeys drop constraint %I', obsolete.conname);
    else
      execute format('drop index %s', obsolete.index_name);
    end if;
  end loop;

  -- What is left of a key for people to recognize it by; never enough to use it.
  create or replace function apikey_hint(apikey text) returns text
    language sql immutable strict as $hint$
      select (case when length(apikey) >= 16 then left(apikey, 4) else '' end) || '…'
    $hint$;

  -- The schema's own search path, because a dump is restored with an empty one.
  create or replace function apikeys_hash_key() returns trigger
    language plpgsql set search_path from current as $trigger$
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

  drop trigger if exists apikeys_hash_key on apikeys;

  if exists (select from apikeys where apikey_hash is null and apikey ~ '^.{0,4}…$') then
    raise exception 'A row of apikeys has the hint of a key and no hash: delete it, or restore its hash';
  end if;

  -- The original's plain keys. Not an update, which would leave them in dead rows until a vacuum: a change
  -- of type writes the table anew, and what it reads is each row as it was. A row without a key stays
  -- without a hash: it opens nothing, as before.
  if exists (select from apikeys where apikey_hash is null and apikey <> '') then
    alter table apikeys
      alter column apikey_hash type text using
        coalesce(apikey_hash, encode(sha256(convert_to(nullif(apikey, ''), 'UTF8')), 'hex')),
      alter column apikey type varchar(256) using
        case when apikey_hash is null and apikey <> '' then apikey_hint(apikey) else apikey end;
  end if;

  create trigger apikeys_hash_key before insert or update on apikeys
    for each row execute function apikeys_hash_key();

  -- Serves the query of a connect: where apikey_hash = $1 and domain = $2.
  create unique index if not exists apikeys_apikey_hash on apikeys (apikey_hash);

  -- Serves the question whether anybody knows a domain. Not unique: keys rotate.
  create index if not exists apikeys_domain on apikeys (domain);

  create table if not exists domains (
    domain varchar(64) primary key,
    publishers text not null default 'exclusive' check (publishers in ('exclusive', 'shared')),
    grace_seconds integer not null default 10 check (grace_seconds between 0 and 3600),
    history_messages integer not null default 0 check (history_messages between 0 and 100000),
    history_seconds integer not null default 0 check (history_seconds between 0 and 2592000),
    subscribers text not null default 'open' check (subscribers in ('open', 'token')),
    max_message_bytes integer not null default 1048576
      check (max_message_bytes between 1 and 33554432),
    messages_per_second integer check (messages_per_second > 0)
  );

  alter table domains add column if not exists max_backlog_bytes integer not null
    default 1048576 check (max_backlog_bytes between 1024 and 67108864);
  alter table domains add column if not exists path_keys boolean not null default true;
  alter table domains add column if not exists max_publishers integer check (max_publishers > 0);
  alter table domains add column if not exists max_subscribers integer check (max_subscribers > 0);
  alter table domains add column if not exists max_topics integer not null
    default 100000 check (max_topics between 1 and 10000000);
  alter table domains add column if not exists token_issuer text check (token_issuer <> '');
  -- Unlike a key it must be at hand in full: who checks an HMAC could have made it (RFC 2104).
  alter table domains add column if not exists token_secret text check (length(token_secret) >= 32);
  alter table domains add column if not exists token_keys jsonb
    check (token_keys is null or coalesce(jsonb_typeof(token_keys -> 'keys'), '') = 'array');
  -- While a secret is replaced there are two.
  alter table domains add column if not exists token_secret_expires_at timestamptz;
  alter table domains add column if not exists token_secret_previous text
    check (length(token_secret_previous) >= 32);
  alter table domains add column if not exists token_secret_previous_expires_at timestamptz;

  comment on table apikeys is 'Who may publish: several keys a domain, each locked to it';
  comment on column apikeys.apikey is 'A hint of the key; inserting a key here hashes it';
  comment on column apikeys.apikey_hash is 'Lower-case hex SHA-256 of the key''s UTF-8 bytes';
  comment on column apikeys.active is 'Only an active key opens a publisher; may be switched on and off';
  comment on column apikeys.expires_at is 'From then on the key opens nothing; null: never';
  comment on column apikeys.revoked_at is 'Since then the key opens nothing, for good; null: it was not';
  comment on column apikeys.last_used_at is 'When the key last opened something, to about a day; null: not known';
  comment on table domains is 'What a domain allows; a domain without a row has the defaults';
  comment on column domains.publishers is 'exclusive: one publisher owns a topic; shared: many';
  comment on column domains.grace_seconds is 'How long an exclusive topic outlives its publisher';
  comment on column domains.history_messages is 'How many messages a topic''s log keeps';
  comment on column domains.history_seconds is 'How long a topic''s log keeps a message';
  comment on column domains.subscribers is 'open: anyone; token: who has a token or a key of the domain';
  comment on column domains.max_message_bytes is 'A larger message closes its publisher';
  comment on column domains.max_backlog_bytes is 'What may wait for a subscriber that does not read';
  comment on column domains.path_keys is 'Whether a key may stand in the path, where logs see it';
  comment on column domains.messages_per_second is 'Of one publisher; null sets no limit';
  comment on column domains.max_publishers is 'Of one topic at a time; null sets no limit';
  comment on column domains.max_subscribers is 'Of one topic at a time; null sets no limit';
  comment on column domains.max_topics is 'How many topics may be live at a time';
  comment on column domains.token_issuer is 'What "iss" of a token must be; null: anything';
  comment on column domains.token_secret is 'Signs tokens with HS256: its UTF-8 bytes, 32 characters at least';
  comment on column domains.token_keys is 'A JWK Set (RFC 7517) of public keys that sign tokens: P-256 (ES256), Ed25519 (EdDSA)';
  comment on column domains.token_secret_expires_at is 'From then on it signs nothing; null: never';
  comment on column domains.token_secret_previous is 'Signs beside token_secret, which has replaced it';
  comment on column domains.token_secret_previous_expires_at is 'From then on it signs nothing; null: never';
end
$schema$;
