-- From here on every name is qualified: a function's body is what it says, whatever the search path
-- of the session that installs the extension.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Enumerations that appear as columns of the list tables (contact-lists §2.3, §4).

CREATE TYPE outbound.unit_type AS ENUM ('phone', 'email', 'conversation_id', 'messenger_id', 'username');
COMMENT ON TYPE outbound.unit_type IS 'Kind of a communication unit (contact-lists §2.3)';

CREATE TYPE outbound.conversation_type AS ENUM ('call', 'email', 'social_media');
COMMENT ON TYPE outbound.conversation_type IS 'Kind of conversation an inbox carries (contact-lists §1)';
