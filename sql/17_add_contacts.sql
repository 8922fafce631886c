-- A few contacts from SQL, through the same rules as a file (contact-lists §2.3).

CREATE FUNCTION outbound.add_contacts(list text, contacts jsonb, append_type text DEFAULT 'append_only')
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    target outbound.list := outbound._list_by_name(add_contacts.list);
    definition jsonb := outbound._definition_of(target.list_id);
    checked jsonb;
    opened outbound.load;
    counts jsonb;
BEGIN
    IF (add_contacts.append_type IN ('append_only', 'append_and_update')) IS NOT TRUE THEN
        RAISE EXCEPTION 'append type "%" cannot be used here', add_contacts.append_type
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use append_only or append_and_update; a file import knows the others.';
    END IF;
    IF target.selection_method = 'conversations' THEN
        RAISE EXCEPTION 'contact list "%" is made from conversations', target.name
            USING ERRCODE = 'wrong_object_type', DETAIL = 'Its contacts are those that its criteria describe.',
                  HINT = 'Change the criteria with outbound.alter_list, or make a list for other contacts with outbound.create_list.';
    END IF;
    checked := outbound.check_contacts(outbound._shape_of(target.list_id, definition), outbound._account_document(), add_contacts.contacts::text)::jsonb;
    PERFORM 1 FROM outbound.list AS l WHERE l.list_id = target.list_id FOR UPDATE;
    PERFORM outbound._free_list_of_dead_loads(target.list_id);
    IF EXISTS (SELECT 1 FROM outbound.load AS l WHERE l.list_id = target.list_id) THEN
        RAISE EXCEPTION 'contact list "%" is being loaded', target.name
            USING ERRCODE = 'object_in_use', HINT = 'Try again when the load has ended; outbound.job_activity shows it.';
    END IF;
    opened := outbound._open_load(NULL, NULL, NULL, target.list_id, target.name,
        CASE add_contacts.append_type WHEN 'append_only' THEN 'append' ELSE 'update' END, definition);
    PERFORM outbound.create_load_table(opened.load_id, 'contact'), outbound.create_load_table(opened.load_id, 'detail');
    EXECUTE format('INSERT INTO outbound_list.%1$I SELECT (jsonb_populate_recordset(NULL::outbound_list.%1$I, $1)).*', 'sys_load_' || opened.load_id)
        USING checked -> 'contacts';
    EXECUTE format('INSERT INTO outbound_list.%1$I SELECT (jsonb_populate_recordset(NULL::outbound_list.%1$I, $1)).*', 'sys_load_' || opened.load_id || '_detail')
        USING checked -> 'records';
    PERFORM outbound.finish_load_table(opened.load_id, 'contact'), outbound.finish_load_table(opened.load_id, 'detail');
    counts := outbound._publish_load(opened, checked -> 'counts', NULL, false);
    RETURN (counts - 'list_id') || jsonb_build_object('reported', checked -> 'reported');
END
$$;
COMMENT ON FUNCTION outbound.add_contacts IS 'Adds contacts, an array of objects by column name, and returns the counts and what was reported; refused rows do not stop the others';
