"""What people call the tables and columns that clv needs, in English, German and Russian; for `clv init`.

Words are compared without case, blanks, underscores and hyphens, and ``CustomerID`` is read as ``customer id``.
"""

from __future__ import annotations

#: words in a file's or a sheet's name that say which table it is.
TABLES: dict[str, tuple[str, ...]] = {
    "transactions": (
        "transactions", "transaction", "trans", "sales", "orders", "invoices", "invoice lines", "payments", "purchases",
        "receipts",
        "umsatz", "umsätze", "rechnungen", "bestellungen", "aufträge", "verkäufe", "zahlungen", "buchungen",
        "продажи", "заказы", "счета", "платежи", "покупки", "отгрузки", "транзакции",
    ),
    "accounts": (
        "accounts", "customers", "clients", "companies", "kunden", "firmen", "stammdaten", "клиенты", "компании",
        "контрагенты",
    ),
    "contacts": ("contacts", "people", "persons", "kontakte", "ansprechpartner", "контакты", "контактные лица"),
    "touches": (
        "touches", "activities", "interactions", "calls", "meetings", "aktivitäten", "besuche", "касания",
        "активности", "звонки", "встречи",
    ),
    "opportunities": ("opportunities", "deals", "pipeline", "chancen", "verkaufschancen", "сделки", "воронка"),
    "programmes": ("programmes", "programs", "campaigns", "kampagnen", "programme", "программы", "кампании"),
    "contracts": ("contracts", "subscriptions", "verträge", "abonnements", "договоры", "контракты", "подписки"),
    "offers": ("offers", "promotions", "angebote", "aktionen", "rabattaktionen", "акции", "предложения"),
    "wallets": ("wallets", "wallet", "potential", "potenzial", "bedarf", "кошелёк", "потенциал"),
    "assessments": ("assessments", "account assessment", "kundenbeurteilung", "оценка клиентов"),
    "costs": (
        "costs", "marketing costs", "acquisition costs", "expenses", "spending", "kosten", "marketingkosten",
        "ausgaben", "затраты", "расходы", "расходы на маркетинг",
    ),
    "deal_stages": (
        "deal stages", "stage history", "deal history", "opportunity history", "pipeline history", "phasenverlauf",
        "история этапов", "история сделок",
    ),
    "team_tiers": (
        "team tiers", "team list", "tier list", "target list", "target account list", "abm list", "zielkunden",
        "zielkundenliste", "список команды", "целевые клиенты",
    ),
    "managers": (
        "managers", "account managers", "sales team", "sales reps", "capacity", "betreuer", "vertriebsteam",
        "менеджеры", "загрузка менеджеров",
    ),
}  # fmt: skip

_ACCOUNT = (
    "account id", "account", "account no", "account number", "customer id", "customer", "customer no",
    "customer number", "customer code", "client id", "client", "client code", "buyer id", "buyer", "company id",
    "company", "cust id",
    "kunden id", "kunde", "kundennummer", "kunden nr", "kundennr", "kd nr", "debitor", "debitorennummer", "firma",
    "клиент", "id клиента", "код клиента", "номер клиента", "покупатель", "контрагент", "заказчик", "компания",
)  # fmt: skip
_DATE = (
    "date", "day", "datetime", "timestamp", "invoice date", "order date", "transaction date", "purchase date",
    "payment date", "sale date", "posting date", "datum", "rechnungsdatum", "bestelldatum", "buchungsdatum",
    "belegdatum", "auftragsdatum", "дата", "дата продажи", "дата заказа", "дата счета", "дата оплаты", "дата отгрузки",
)  # fmt: skip
_AMOUNT = (
    "amount", "total", "sum", "net amount", "line total", "sales", "revenue", "value", "order value", "price paid",
    "turnover", "betrag", "umsatz", "summe", "gesamt", "gesamtbetrag", "nettobetrag", "netto", "wert", "сумма",
    "итого", "выручка", "стоимость", "оборот", "сумма без ндс",
)  # fmt: skip
_START = ("start", "start date", "from", "begin", "beginn", "von", "vertragsbeginn", "начало", "дата начала")
_END = (
    "end",
    "end date",
    "to",
    "until",
    "expiry",
    "ende",
    "bis",
    "vertragsende",
    "конец",
    "дата окончания",
    "окончание",
)
_CREATED = (
    "created", "created at", "creation date", "opened", "open date", "engage date", "customer since", "angelegt",
    "erstellt", "anlagedatum", "kunde seit", "создан", "создано", "дата создания",
)  # fmt: skip

#: table -> our column -> what it is called elsewhere.
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "transactions": {
        "account_id": (*_ACCOUNT, "id"),
        "date": _DATE,
        "amount": _AMOUNT,
        "invoice": (
            "invoice", "invoice no", "invoice number", "invoice id", "order id", "order no", "order number", "order",
            "transaction id", "document no", "rechnung", "rechnungsnummer", "rechnungs nr", "belegnummer", "beleg nr",
            "auftragsnummer", "bestellnummer", "счет", "номер счета", "накладная", "заказ", "номер заказа", "документ",
        ),
        "product": (
            "product", "product id", "product code", "sku", "item", "item no", "item code", "article", "stock code",
            "artikel", "artikelnummer", "artikel nr", "produkt", "товар", "код товара", "артикул",
            "номенклатура", "продукт",
        ),
        "quantity": ("quantity", "qty", "units", "pieces", "menge", "stück", "anzahl", "количество", "кол во", "штук"),
        "unit_price": (
            "unit price", "price", "price per unit", "stückpreis", "einzelpreis", "preis", "цена", "цена за единицу",
        ),
        "discount": ("discount", "discount share", "rabatt", "nachlass", "скидка"),
        "margin_share": ("margin share", "margenanteil", "доля маржи"),
    },
    "accounts": {
        "account_id": ("id", *_ACCOUNT),
        "name": (
            "name", "account name", "customer name", "company name", "firmenname", "kundenname", "название",
            "наименование",
        ),
        "industry": ("industry", "sector", "branche", "отрасль", "сектор"),
        "region": ("region", "country", "state", "office location", "land", "bundesland", "регион", "страна"),
        "employees": ("employees", "headcount", "staff", "mitarbeiter", "mitarbeiterzahl", "сотрудники", "численность"),
        "revenue": ("revenue", "annual revenue", "turnover", "jahresumsatz", "выручка", "годовая выручка"),
        "technology": ("technology", "tech stack", "technologie", "технология"),
        "manager": ("manager", "account manager", "owner", "sales agent", "betreuer", "kundenbetreuer", "менеджер"),
        "parent_id": ("parent id", "parent", "subsidiary of", "parent account", "mutter", "konzern", "холдинг"),
        "created": _CREATED,
        "margin_share": ("margin share", "margenanteil", "доля маржи"),
    },
    "contacts": {
        "contact_id": (
            "contact id", "contact", "person id", "id", "kontakt id", "ansprechpartner", "контакт", "id контакта",
        ),
        "account_id": _ACCOUNT,
        "role": ("role", "job title", "position", "rolle", "funktion", "роль", "должность"),
        "influence": ("influence", "einfluss", "влияние"),
        "attitude": ("attitude", "sentiment", "haltung", "отношение"),
        "consent": ("consent", "opt in", "einwilligung", "согласие"),
    },
    "touches": {
        "account_id": _ACCOUNT,
        "date": _DATE,
        "contact_id": ("contact id", "contact", "person id", "kontakt", "контакт"),
        "channel": ("channel", "type", "activity type", "kanal", "art", "канал", "тип"),
        "inbound": ("inbound", "incoming", "eingehend", "входящий"),
        "sentiment": ("sentiment", "tone", "stimmung", "тональность"),
    },
    "opportunities": {
        "opportunity_id": (
            "opportunity id", "deal id", "opportunity", "deal", "chancen id", "id", "сделка", "id сделки",
        ),
        "account_id": _ACCOUNT,
        "created": _CREATED,
        "closed": ("closed", "close date", "closed at", "abgeschlossen", "abschlussdatum", "закрыта", "дата закрытия"),
        "stage": ("stage", "deal stage", "phase", "этап", "стадия"),
        "outcome": ("outcome", "result", "status", "ergebnis", "результат", "исход"),
        "amount": ("amount", "close value", "deal value", "value", "betrag", "wert", "сумма"),
    },
    "programmes": {
        "account_id": _ACCOUNT,
        "programme": ("programme", "program", "campaign", "kampagne", "программа", "кампания"),
        "tier": ("tier", "stufe", "уровень"),
        "arm": ("arm", "group", "gruppe", "группа"),
        "block": ("block", "stratum", "randomisation block", "schicht", "блок"),
        "start": _START,
        "end": _END,
        "cost": ("cost", "costs", "spend", "kosten", "затраты", "расходы"),
        "hours": ("hours", "stunden", "часы"),
    },
    "contracts": {
        "contract_id": (
            "contract id", "contract", "contract no", "subscription id", "vertrag", "vertragsnummer", "id", "договор",
        ),
        "account_id": _ACCOUNT,
        "start": _START,
        "end": _END,
        "value": ("value", "amount", "contract value", "betrag", "wert", "vertragswert", "сумма", "стоимость"),
        "renewed": ("renewed", "renewal", "verlängert", "продлён", "продлен"),
        "reason": ("reason", "loss reason", "churn reason", "grund", "причина"),
        "term_number": ("term number", "laufzeitnummer", "номер срока"),
    },
    "offers": {
        "account_id": _ACCOUNT,
        "start": _START,
        "end": _END,
        "discount": ("discount", "discount share", "rebate", "rabatt", "скидка"),
    },
    "wallets": {
        "account_id": _ACCOUNT,
        "date": _DATE,
        "wallet": ("wallet", "yearly demand", "potential", "bedarf", "potenzial", "кошелёк", "потенциал"),
    },
    "assessments": {
        "account_id": _ACCOUNT,
        "date": _DATE,
        "need": ("has need", "bedarf vorhanden", "есть потребность"),
        "ability_to_pay": ("ability to pay", "zahlungsfähig", "платёжеспособен"),
        "authority": ("authority known", "entscheider bekannt", "лпр известен"),
        "wish": ("wish to buy", "kaufwunsch", "желание купить"),
        "budget": ("has budget", "budget vorhanden", "есть бюджет"),
        "greenfield": ("greenfield", "ohne lieferanten", "без поставщика"),
        "buys_elsewhere": ("buys elsewhere", "buys from competitor", "kauft beim wettbewerb", "покупает у конкурента"),
        "lead_user": ("lead user", "lead-user", "ведущий пользователь"),
        "status_name": ("status name", "referenzkunde", "статусный клиент"),
        "fan": ("is fan", "fürsprecher", "фанат"),
        "price_switcher": ("price switcher", "preiswechsler", "уходит за ценой"),
        "many_demands": ("many demands", "viele sonderwünsche", "много требований"),
        "bad_reputation": ("bad reputation", "schlechter ruf", "плохая репутация"),
        "complaints": ("complaints", "reklamationen", "рекламации", "жалобы"),
        "days_late": ("days late", "zahlungsverzug tage", "дней просрочки"),
        "service_hours": ("service hours", "servicestunden", "часы сервиса"),
    },
    "costs": {
        "date": _DATE,
        "amount": ("cost", "costs", "spend", "spent", "expense", "kosten", "ausgaben", "затраты", "расходы", *_AMOUNT),
        "kind": ("kind", "kind of cost", "cost type", "kostenart", "вид затрат", "статья"),
        "account_id": _ACCOUNT,
        "channel": ("channel", "medium", "kanal", "канал"),
        "stage": ("stage", "acquisition stage", "step", "schritt", "этап", "шаг"),
    },
    "deal_stages": {
        "opportunity_id": (
            "opportunity id", "deal id", "opportunity", "deal", "chancen id", "сделка", "id сделки",
        ),
        "stage": ("stage", "deal stage", "new stage", "phase", "этап", "стадия"),
        "entered": (
            "entered", "entered at", "stage date", "changed at", "since", "eingetreten", "phase seit", "дата этапа",
            "дата перехода",
        ),
    },
    "team_tiers": {
        "account_id": _ACCOUNT,
        "tier": ("tier", "abm tier", "target tier", "stufe", "уровень"),
    },
    "managers": {
        "manager": (
            "manager", "account manager", "sales agent", "sales rep", "betreuer", "kundenbetreuer", "менеджер",
        ),
        "hours": ("hours", "spare hours", "free hours", "capacity hours", "freie stunden", "stunden", "свободные часы"),
        "at_most": ("at most", "max accounts", "most accounts", "höchstens", "максимум клиентов", "не более"),
    },
}  # fmt: skip
