// What every speaker of the matrix says alike: one picture, one schema, two tools.

const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const PNG_URL = `data:image/png;base64,${PNG}`;
export const SCHEMA = object({ city: { type: "string" }, days: { type: "array", items: { type: "integer" } } });
export const TOOLS = {
  weather: object({ city: { type: "string" } }),
  local_time: object({ zone: { type: "string" } }),
};

// Startline's own words in an error: in its body, or in a header where the provider's body passed as it came.
export function block(error, headers) {
  return error?.startline ?? JSON.parse(headers?.["x-startline-error"] ?? "null");
}
