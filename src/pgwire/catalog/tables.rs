//! The tables of `pg_catalog` and `information_schema`, with the columns of PostgreSQL 15.

use super::columns::Table;

/// What is in `pg_catalog`. A function that returns rows is a table of its name.
pub(super) const PG_CATALOG: &[Table] = &[
    Table::empty(
        "pg_aggregate",
        "aggfnoid:regproc aggkind:char aggnumdirectargs:int2 aggtransfn:regproc \
         aggfinalfn:regproc aggcombinefn:regproc aggserialfn:regproc aggdeserialfn:regproc \
         aggmtransfn:regproc aggminvtransfn:regproc aggmfinalfn:regproc aggfinalextra:bool \
         aggmfinalextra:bool aggfinalmodify:char aggmfinalmodify:char aggsortop:oid \
         aggtranstype:oid aggtransspace:int4 aggmtranstype:oid aggmtransspace:int4 \
         agginitval:text aggminitval:text",
    ),
    Table::new("pg_am", "oid:oid amname:name amhandler:regproc amtype:char"),
    Table::empty("pg_attrdef", "oid:oid adrelid:oid adnum:int2 adbin:text"),
    Table::new(
        "pg_attribute",
        "attrelid:oid attname:name atttypid:oid attstattarget:int4 attlen:int2 attnum:int2 \
         attndims:int4 attcacheoff:int4 atttypmod:int4 attbyval:bool attalign:char \
         attstorage:char attcompression:char attnotnull:bool atthasdef:bool \
         atthasmissing:bool attidentity:char attgenerated:char attisdropped:bool \
         attislocal:bool attinhcount:int4 attcollation:oid attacl:aclitem[] attoptions:text[] \
         attfdwoptions:text[] attmissingval:text",
    ),
    Table::empty(
        "pg_auth_members",
        "roleid:oid member:oid grantor:oid admin_option:bool",
    ),
    Table::empty(
        "pg_available_extensions",
        "name:name default_version:text installed_version:text comment:text",
    ),
    Table::empty(
        "pg_cast",
        "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:char castmethod:char",
    ),
    Table::new(
        "pg_class",
        "oid:oid relname:name relnamespace:oid reltype:oid reloftype:oid relowner:oid \
         relam:oid relfilenode:oid reltablespace:oid relpages:int4 reltuples:float4 \
         relallvisible:int4 reltoastrelid:oid relhasindex:bool relisshared:bool \
         relpersistence:char relkind:char relnatts:int2 relchecks:int2 relhasrules:bool \
         relhastriggers:bool relhassubclass:bool relrowsecurity:bool relforcerowsecurity:bool \
         relispopulated:bool relreplident:char relispartition:bool relrewrite:oid \
         relfrozenxid:xid relminmxid:xid relacl:aclitem[] reloptions:text[] relpartbound:text",
    ),
    Table::empty(
        "pg_collation",
        "oid:oid collname:name collnamespace:oid collowner:oid collprovider:char \
         collisdeterministic:bool collencoding:int4 collcollate:text collctype:text \
         colliculocale:text collversion:text",
    ),
    Table::new(
        "pg_constraint",
        "oid:oid conname:name connamespace:oid contype:char condeferrable:bool \
         condeferred:bool convalidated:bool conrelid:oid contypid:oid conindid:oid \
         conparentid:oid confrelid:oid confupdtype:char confdeltype:char confmatchtype:char \
         conislocal:bool coninhcount:int4 connoinherit:bool conkey:int2[] confkey:int2[] \
         conpfeqop:oid[] conppeqop:oid[] conffeqop:oid[] confdelsetcols:int2[] \
         conexclop:oid[] conbin:text",
    ),
    Table::empty(
        "pg_conversion",
        "oid:oid conname:name connamespace:oid conowner:oid conforencoding:int4 \
         contoencoding:int4 conproc:regproc condefault:bool",
    ),
    Table::empty(
        "pg_cursors",
        "name:text statement:text is_holdable:bool is_binary:bool is_scrollable:bool \
         creation_time:timestamptz",
    ),
    Table::new(
        "pg_database",
        "oid:oid datname:name datdba:oid encoding:int4 datlocprovider:char datistemplate:bool \
         datallowconn:bool datconnlimit:int4 datfrozenxid:xid datminmxid:xid \
         dattablespace:oid datcollate:text datctype:text daticulocale:text \
         datcollversion:text datacl:aclitem[]",
    ),
    Table::empty(
        "pg_db_role_setting",
        "setdatabase:oid setrole:oid setconfig:text[]",
    ),
    Table::empty(
        "pg_default_acl",
        "oid:oid defaclrole:oid defaclnamespace:oid defaclobjtype:char defaclacl:aclitem[]",
    ),
    Table::empty(
        "pg_depend",
        "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 \
         deptype:char",
    ),
    Table::empty(
        "pg_description",
        "objoid:oid classoid:oid objsubid:int4 description:text",
    ),
    Table::empty(
        "pg_enum",
        "oid:oid enumtypid:oid enumsortorder:float4 enumlabel:name",
    ),
    Table::empty(
        "pg_event_trigger",
        "oid:oid evtname:name evtevent:name evtowner:oid evtfoid:oid evtenabled:char \
         evttags:text[]",
    ),
    Table::empty(
        "pg_extension",
        "oid:oid extname:name extowner:oid extnamespace:oid extrelocatable:bool \
         extversion:text extconfig:oid[] extcondition:text[]",
    ),
    Table::empty(
        "pg_foreign_data_wrapper",
        "oid:oid fdwname:name fdwowner:oid fdwhandler:oid fdwvalidator:oid fdwacl:aclitem[] \
         fdwoptions:text[]",
    ),
    Table::empty(
        "pg_foreign_server",
        "oid:oid srvname:name srvowner:oid srvfdw:oid srvtype:text srvversion:text \
         srvacl:aclitem[] srvoptions:text[]",
    ),
    Table::empty(
        "pg_foreign_table",
        "ftrelid:oid ftserver:oid ftoptions:text[]",
    ),
    Table::new(
        "pg_get_keywords",
        "word:text catcode:char barelabel:bool catdesc:text baredesc:text",
    ),
    Table::empty("pg_group", "groname:name grosysid:oid grolist:oid[]"),
    Table::new(
        "pg_index",
        "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool \
         indnullsnotdistinct:bool indisprimary:bool indisexclusion:bool indimmediate:bool \
         indisclustered:bool indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool \
         indisreplident:bool indkey:int2vector indcollation:oidvector indclass:oidvector \
         indoption:int2vector indexprs:text indpred:text",
    ),
    Table::new(
        "pg_indexes",
        "schemaname:name tablename:name indexname:name tablespace:name indexdef:text",
    ),
    Table::empty(
        "pg_inherits",
        "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool",
    ),
    Table::new(
        "pg_language",
        "oid:oid lanname:name lanowner:oid lanispl:bool lanpltrusted:bool lanplcallfoid:oid \
         laninline:oid lanvalidator:oid lanacl:aclitem[]",
    ),
    Table::empty(
        "pg_largeobject_metadata",
        "oid:oid lomowner:oid lomacl:aclitem[]",
    ),
    Table::empty(
        "pg_locks",
        "locktype:text database:oid relation:oid page:int4 tuple:int2 virtualxid:text \
         transactionid:xid classid:oid objid:oid objsubid:int2 virtualtransaction:text \
         pid:int4 mode:text granted:bool fastpath:bool waitstart:timestamptz",
    ),
    Table::empty(
        "pg_matviews",
        "schemaname:name matviewname:name matviewowner:name tablespace:name hasindexes:bool \
         ispopulated:bool definition:text",
    ),
    Table::new(
        "pg_namespace",
        "oid:oid nspname:name nspowner:oid nspacl:aclitem[]",
    ),
    Table::empty(
        "pg_opclass",
        "oid:oid opcmethod:oid opcname:name opcnamespace:oid opcowner:oid opcfamily:oid \
         opcintype:oid opcdefault:bool opckeytype:oid",
    ),
    Table::empty(
        "pg_operator",
        "oid:oid oprname:name oprnamespace:oid oprowner:oid oprkind:char oprcanmerge:bool \
         oprcanhash:bool oprleft:oid oprright:oid oprresult:oid oprcom:oid oprnegate:oid \
         oprcode:regproc oprrest:regproc oprjoin:regproc",
    ),
    Table::empty(
        "pg_opfamily",
        "oid:oid opfmethod:oid opfname:name opfnamespace:oid opfowner:oid",
    ),
    Table::empty(
        "pg_partitioned_table",
        "partrelid:oid partstrat:char partnatts:int2 partdefid:oid partattrs:int2vector \
         partclass:oidvector partcollation:oidvector partexprs:text",
    ),
    Table::empty(
        "pg_policies",
        "schemaname:name tablename:name policyname:name permissive:text roles:text[] cmd:text \
         qual:text with_check:text",
    ),
    Table::empty(
        "pg_policy",
        "oid:oid polname:name polrelid:oid polcmd:char polpermissive:bool polroles:oid[] \
         polqual:text polwithcheck:text",
    ),
    Table::empty(
        "pg_prepared_statements",
        "name:text statement:text prepare_time:timestamptz parameter_types:text[] \
         from_sql:bool generic_plans:int8 custom_plans:int8",
    ),
    Table::empty(
        "pg_prepared_xacts",
        "transaction:xid gid:text prepared:timestamptz owner:name database:name",
    ),
    Table::new(
        "pg_proc",
        "oid:oid proname:name pronamespace:oid proowner:oid prolang:oid procost:float4 \
         prorows:float4 provariadic:oid prosupport:regproc prokind:char prosecdef:bool \
         proleakproof:bool proisstrict:bool proretset:bool provolatile:char proparallel:char \
         pronargs:int2 pronargdefaults:int2 prorettype:oid proargtypes:oidvector \
         proallargtypes:oid[] proargmodes:char[] proargnames:text[] proargdefaults:text \
         protrftypes:oid[] prosrc:text probin:text prosqlbody:text proconfig:text[] \
         proacl:aclitem[]",
    ),
    Table::empty(
        "pg_publication",
        "oid:oid pubname:name pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool \
         pubdelete:bool pubtruncate:bool pubviaroot:bool",
    ),
    Table::empty(
        "pg_publication_namespace",
        "oid:oid pnpubid:oid pnnspid:oid",
    ),
    Table::empty(
        "pg_publication_rel",
        "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:int2vector",
    ),
    Table::empty(
        "pg_publication_tables",
        "pubname:name schemaname:name tablename:name attnames:name[] rowfilter:text",
    ),
    Table::empty(
        "pg_range",
        "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid rngsubopc:oid \
         rngcanonical:regproc rngsubdiff:regproc",
    ),
    Table::empty(
        "pg_rewrite",
        "oid:oid rulename:name ev_class:oid ev_type:char ev_enabled:char is_instead:bool \
         ev_qual:text ev_action:text",
    ),
    Table::new(
        "pg_roles",
        "rolname:name rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool \
         rolcanlogin:bool rolreplication:bool rolconnlimit:int4 rolpassword:text \
         rolvaliduntil:timestamptz rolbypassrls:bool rolconfig:text[] oid:oid",
    ),
    Table::empty(
        "pg_rules",
        "schemaname:name tablename:name rulename:name definition:text",
    ),
    Table::empty(
        "pg_seclabels",
        "objoid:oid classoid:oid objsubid:int4 objtype:text objnamespace:oid objname:text \
         provider:text label:text",
    ),
    Table::empty(
        "pg_sequence",
        "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 \
         seqcache:int8 seqcycle:bool",
    ),
    Table::empty(
        "pg_sequences",
        "schemaname:name sequencename:name sequenceowner:name data_type:text start_value:int8 \
         min_value:int8 max_value:int8 increment_by:int8 cycle:bool cache_size:int8 \
         last_value:int8",
    ),
    Table::new(
        "pg_settings",
        "name:text setting:text unit:text category:text short_desc:text extra_desc:text \
         context:text vartype:text source:text min_val:text max_val:text enumvals:text[] \
         boot_val:text reset_val:text sourcefile:text sourceline:cardinal \
         pending_restart:bool",
    ),
    Table::empty(
        "pg_shdepend",
        "dbid:oid classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid \
         deptype:char",
    ),
    Table::empty(
        "pg_shdescription",
        "objoid:oid classoid:oid description:text",
    ),
    Table::empty(
        "pg_stat_activity",
        "datid:oid datname:name pid:int4 leader_pid:int4 usesysid:oid usename:name \
         application_name:text client_addr:text client_hostname:text client_port:int4 \
         backend_start:timestamptz xact_start:timestamptz query_start:timestamptz \
         state_change:timestamptz wait_event_type:text wait_event:text state:text \
         backend_xid:xid backend_xmin:xid query_id:int8 query:text backend_type:text",
    ),
    Table::empty(
        "pg_stat_all_tables",
        "relid:oid schemaname:name relname:name seq_scan:int8 seq_tup_read:int8 idx_scan:int8 \
         idx_tup_fetch:int8 n_tup_ins:int8 n_tup_upd:int8 n_tup_del:int8 n_tup_hot_upd:int8 \
         n_live_tup:int8 n_dead_tup:int8 n_mod_since_analyze:int8 n_ins_since_vacuum:int8 \
         last_vacuum:timestamptz last_autovacuum:timestamptz last_analyze:timestamptz \
         last_autoanalyze:timestamptz vacuum_count:int8 autovacuum_count:int8 \
         analyze_count:int8 autoanalyze_count:int8",
    ),
    Table::empty(
        "pg_stat_all_indexes",
        "relid:oid indexrelid:oid schemaname:name relname:name indexrelname:name \
         idx_scan:int8 idx_tup_read:int8 idx_tup_fetch:int8",
    ),
    Table::empty(
        "pg_stat_database",
        "datid:oid datname:name numbackends:int4 xact_commit:int8 xact_rollback:int8 \
         blks_read:int8 blks_hit:int8 tup_returned:int8 tup_fetched:int8 tup_inserted:int8 \
         tup_updated:int8 tup_deleted:int8 conflicts:int8 temp_files:int8 temp_bytes:int8 \
         deadlocks:int8 stats_reset:timestamptz",
    ),
    Table::empty(
        "pg_stat_user_indexes",
        "relid:oid indexrelid:oid schemaname:name relname:name indexrelname:name \
         idx_scan:int8 idx_tup_read:int8 idx_tup_fetch:int8",
    ),
    Table::empty(
        "pg_stat_user_tables",
        "relid:oid schemaname:name relname:name seq_scan:int8 seq_tup_read:int8 idx_scan:int8 \
         idx_tup_fetch:int8 n_tup_ins:int8 n_tup_upd:int8 n_tup_del:int8 n_tup_hot_upd:int8 \
         n_live_tup:int8 n_dead_tup:int8 n_mod_since_analyze:int8 n_ins_since_vacuum:int8 \
         last_vacuum:timestamptz last_autovacuum:timestamptz last_analyze:timestamptz \
         last_autoanalyze:timestamptz vacuum_count:int8 autovacuum_count:int8 \
         analyze_count:int8 autoanalyze_count:int8",
    ),
    Table::empty(
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname:name stxnamespace:oid stxowner:oid stxstattarget:int4 \
         stxkeys:int2vector stxkind:char[] stxexprs:text",
    ),
    Table::empty(
        "pg_stats",
        "schemaname:name tablename:name attname:name inherited:bool null_frac:float4 \
         avg_width:int4 n_distinct:float4 most_common_vals:text[] most_common_freqs:text[] \
         histogram_bounds:text[] correlation:float4",
    ),
    Table::empty(
        "pg_subscription",
        "oid:oid subdbid:oid subskiplsn:text subname:name subowner:oid subenabled:bool \
         subbinary:bool substream:bool subtwophasestate:char subdisableonerr:bool \
         subconninfo:text subslotname:name subsynccommit:text subpublications:text[]",
    ),
    Table::new(
        "pg_tables",
        "schemaname:name tablename:name tableowner:name tablespace:name hasindexes:bool \
         hasrules:bool hastriggers:bool rowsecurity:bool",
    ),
    Table::new(
        "pg_tablespace",
        "oid:oid spcname:name spcowner:oid spcacl:aclitem[] spcoptions:text[]",
    ),
    Table::empty(
        "pg_timezone_names",
        "name:text abbrev:text utc_offset:text is_dst:bool",
    ),
    Table::empty(
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname:name tgfoid:oid tgtype:int2 tgenabled:char \
         tgisinternal:bool tgconstrrelid:oid tgconstrindid:oid tgconstraint:oid \
         tgdeferrable:bool tginitdeferred:bool tgnargs:int2 tgattr:int2vector tgargs:bytea \
         tgqual:text tgoldtable:name tgnewtable:name",
    ),
    Table::empty(
        "pg_ts_config",
        "oid:oid cfgname:name cfgnamespace:oid cfgowner:oid cfgparser:oid",
    ),
    Table::empty(
        "pg_ts_dict",
        "oid:oid dictname:name dictnamespace:oid dictowner:oid dicttemplate:oid \
         dictinitoption:text",
    ),
    Table::empty(
        "pg_ts_parser",
        "oid:oid prsname:name prsnamespace:oid prsstart:regproc prstoken:regproc \
         prsend:regproc prsheadline:regproc prslextype:regproc",
    ),
    Table::empty(
        "pg_ts_template",
        "oid:oid tmplname:name tmplnamespace:oid tmplinit:regproc tmpllexize:regproc",
    ),
    Table::new(
        "pg_type",
        "oid:oid typname:name typnamespace:oid typowner:oid typlen:int2 typbyval:bool \
         typtype:char typcategory:char typispreferred:bool typisdefined:bool typdelim:char \
         typrelid:oid typsubscript:regproc typelem:oid typarray:oid typinput:regproc \
         typoutput:regproc typreceive:regproc typsend:regproc typmodin:regproc \
         typmodout:regproc typanalyze:regproc typalign:char typstorage:char typnotnull:bool \
         typbasetype:oid typtypmod:int4 typndims:int4 typcollation:oid typdefaultbin:text \
         typdefault:text typacl:aclitem[]",
    ),
    Table::new(
        "pg_user",
        "usename:name usesysid:oid usecreatedb:bool usesuper:bool userepl:bool \
         usebypassrls:bool passwd:text valuntil:timestamptz useconfig:text[]",
    ),
    Table::empty(
        "pg_user_mapping",
        "oid:oid umuser:oid umserver:oid umoptions:text[]",
    ),
    Table::empty(
        "pg_user_mappings",
        "umid:oid srvid:oid srvname:name umuser:oid usename:name umoptions:text[]",
    ),
    Table::empty(
        "pg_views",
        "schemaname:name viewname:name viewowner:name definition:text",
    ),
];

/// What is in `information_schema`.
pub(super) const INFORMATION_SCHEMA: &[Table] = &[
    Table::empty(
        "applicable_roles",
        "grantee:name role_name:name is_grantable:text",
    ),
    Table::new(
        "character_sets",
        "character_set_catalog:name character_set_schema:name character_set_name:name \
         character_repertoire:name form_of_use:name default_collate_catalog:name \
         default_collate_schema:name default_collate_name:name",
    ),
    Table::empty(
        "check_constraints",
        "constraint_catalog:name constraint_schema:name constraint_name:name \
         check_clause:text",
    ),
    Table::empty(
        "collations",
        "collation_catalog:name collation_schema:name collation_name:name pad_attribute:text",
    ),
    Table::new(
        "column_privileges",
        "grantor:name grantee:name table_catalog:name table_schema:name table_name:name \
         column_name:name privilege_type:text is_grantable:text",
    ),
    Table::new(
        "columns",
        "table_catalog:name table_schema:name table_name:name column_name:name \
         ordinal_position:cardinal column_default:text is_nullable:text data_type:text \
         character_maximum_length:cardinal character_octet_length:cardinal \
         numeric_precision:cardinal numeric_precision_radix:cardinal numeric_scale:cardinal \
         datetime_precision:cardinal interval_type:text interval_precision:cardinal \
         character_set_catalog:name character_set_schema:name character_set_name:name \
         collation_catalog:name collation_schema:name collation_name:name domain_catalog:name \
         domain_schema:name domain_name:name udt_catalog:name udt_schema:name udt_name:name \
         scope_catalog:name scope_schema:name scope_name:name maximum_cardinality:cardinal \
         dtd_identifier:name is_self_referencing:text is_identity:text \
         identity_generation:text identity_start:text identity_increment:text \
         identity_maximum:text identity_minimum:text identity_cycle:text is_generated:text \
         generation_expression:text is_updatable:text",
    ),
    Table::new(
        "constraint_column_usage",
        "table_catalog:name table_schema:name table_name:name column_name:name \
         constraint_catalog:name constraint_schema:name constraint_name:name",
    ),
    Table::new(
        "constraint_table_usage",
        "table_catalog:name table_schema:name table_name:name constraint_catalog:name \
         constraint_schema:name constraint_name:name",
    ),
    Table::empty(
        "domain_constraints",
        "constraint_catalog:name constraint_schema:name constraint_name:name \
         domain_catalog:name domain_schema:name domain_name:name is_deferrable:text \
         initially_deferred:text",
    ),
    Table::empty(
        "domains",
        "domain_catalog:name domain_schema:name domain_name:name data_type:text \
         character_maximum_length:cardinal domain_default:text udt_catalog:name \
         udt_schema:name udt_name:name",
    ),
    Table::empty(
        "element_types",
        "object_catalog:name object_schema:name object_name:name object_type:text \
         collection_type_identifier:name data_type:text udt_catalog:name udt_schema:name \
         udt_name:name",
    ),
    Table::new("enabled_roles", "role_name:name"),
    Table::new("information_schema_catalog_name", "catalog_name:name"),
    Table::new(
        "key_column_usage",
        "constraint_catalog:name constraint_schema:name constraint_name:name \
         table_catalog:name table_schema:name table_name:name column_name:name \
         ordinal_position:cardinal position_in_unique_constraint:cardinal",
    ),
    Table::empty(
        "parameters",
        "specific_catalog:name specific_schema:name specific_name:name \
         ordinal_position:cardinal parameter_mode:text is_result:text as_locator:text \
         parameter_name:name data_type:text udt_catalog:name udt_schema:name udt_name:name",
    ),
    Table::empty(
        "referential_constraints",
        "constraint_catalog:name constraint_schema:name constraint_name:name \
         unique_constraint_catalog:name unique_constraint_schema:name \
         unique_constraint_name:name match_option:text update_rule:text delete_rule:text",
    ),
    Table::new(
        "role_table_grants",
        "grantor:name grantee:name table_catalog:name table_schema:name table_name:name \
         privilege_type:text is_grantable:text with_hierarchy:text",
    ),
    Table::empty(
        "routines",
        "specific_catalog:name specific_schema:name specific_name:name routine_catalog:name \
         routine_schema:name routine_name:name routine_type:text data_type:text \
         type_udt_catalog:name type_udt_schema:name type_udt_name:name routine_body:text \
         routine_definition:text external_language:text is_deterministic:text \
         security_type:text",
    ),
    Table::new(
        "schemata",
        "catalog_name:name schema_name:name schema_owner:name \
         default_character_set_catalog:name default_character_set_schema:name \
         default_character_set_name:name sql_path:text",
    ),
    Table::empty(
        "sequences",
        "sequence_catalog:name sequence_schema:name sequence_name:name data_type:text \
         numeric_precision:cardinal numeric_precision_radix:cardinal numeric_scale:cardinal \
         start_value:text minimum_value:text maximum_value:text increment:text \
         cycle_option:text",
    ),
    Table::new(
        "table_constraints",
        "constraint_catalog:name constraint_schema:name constraint_name:name \
         table_catalog:name table_schema:name table_name:name constraint_type:text \
         is_deferrable:text initially_deferred:text enforced:text nulls_distinct:text",
    ),
    Table::new(
        "table_privileges",
        "grantor:name grantee:name table_catalog:name table_schema:name table_name:name \
         privilege_type:text is_grantable:text with_hierarchy:text",
    ),
    Table::new(
        "tables",
        "table_catalog:name table_schema:name table_name:name table_type:text \
         self_referencing_column_name:name reference_generation:text \
         user_defined_type_catalog:name user_defined_type_schema:name \
         user_defined_type_name:name is_insertable_into:text is_typed:text commit_action:text",
    ),
    Table::empty(
        "triggers",
        "trigger_catalog:name trigger_schema:name trigger_name:name event_manipulation:text \
         event_object_catalog:name event_object_schema:name event_object_table:name \
         action_order:cardinal action_condition:text action_statement:text \
         action_orientation:text action_timing:text",
    ),
    Table::empty(
        "views",
        "table_catalog:name table_schema:name table_name:name view_definition:text \
         check_option:text is_updatable:text is_insertable_into:text \
         is_trigger_updatable:text is_trigger_deletable:text is_trigger_insertable_into:text",
    ),
];

/// The table of a schema by its name.
pub(super) fn find(schema: &str, name: &str) -> Option<&'static Table> {
    let tables = match schema {
        "pg_catalog" => PG_CATALOG,
        "information_schema" => INFORMATION_SCHEMA,
        _ => return None,
    };
    tables.iter().find(|table| table.name == name)
}

/// The type of a column that some table of `pg_catalog` has. No two tables have columns of one
/// name of which one is an array and the other is not.
pub(super) fn column_type(name: &str) -> Option<&'static str> {
    PG_CATALOG
        .iter()
        .flat_map(Table::columns)
        .find(|(column, _)| *column == name)
        .map(|(_, kind)| kind)
}
